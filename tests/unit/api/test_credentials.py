"""What a credential may be used for: keys with fewer scopes, upload tokens, and guesses."""

import json

import pytest

from app.domain.profile import Profile
from app.protocol import inbox
from tests.unit.api.asgi import multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, KEY, SOURCE, USER

pytestmark = pytest.mark.anyio

FORM = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hello", "a.txt"))
CALLS = {
    "upload": [("POST", "/public/sources/ws", json.dumps({"ws-uuid": CHANNEL}).encode(), "application/json"), ("POST", "/public/sources/upload-source", *FORM)],
    "read": [("GET", "/public/sources", b"", ""), ("GET", "/public/sources/s-1", b"", ""), ("GET", f"/public/channels/{CHANNEL}/events", b"", "")],
    "delete": [("DELETE", "/public/sources/s-1", b"", "")],
    "admin": [("POST", "/public/tokens", b"{}", "application/json")],
}


async def call(app, method, path, body=b"", content_type="", *, who):
    typed = [("content-type", content_type), ("content-length", str(len(body)))] if body else []
    return await request(app, method, path, [body] if body else [], headers=[*who, *typed])


def key(name):
    return [("X-API-Key", name), ("X-User-ID", USER)]


async def minted(app, **asked):
    answer = await call(app, "POST", "/public/tokens", json.dumps(asked).encode(), "application/json", who=key(KEY))
    assert answer.status == 200, answer.body
    return [("Authorization", f"Bearer {answer.json()['token']}")]


@pytest.mark.parametrize(("name", "may"), [("key-to-upload", {"upload"}), ("key-to-read", {"read"})])
@pytest.mark.parametrize("scope", CALLS)
async def test_a_key_is_good_for_its_scopes_alone(app, name, may, scope):
    for method, path, body, content_type in CALLS[scope]:
        answer = await call(app, method, path, body, content_type, who=key(name))
        refused = answer.status == 403 and answer.json()["code"] == "scope_missing"
        assert refused is (scope not in may)


async def test_a_token_uploads_for_the_user_it_was_minted_for(app, house):
    who = await minted(app, metadata={"case": "7"})
    answer = await call(app, *CALLS["upload"][1], who=who)
    assert answer.status == 200
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.metadata, record.profile, record.types) == ({"case": "7"}, "default", None)


async def test_a_token_mints_no_token_and_deletes_nothing(app):
    who = await minted(app)
    for scope in ("admin", "delete"):
        assert (await call(app, *CALLS[scope][0], who=who)).status == 403


@pytest.mark.parametrize("scopes", [["admin"], ["upload", "admin"]])
async def test_no_token_is_for_admin(app, scopes):
    answer = await call(app, "POST", "/public/tokens", json.dumps({"scopes": scopes}).encode(), "application/json", who=key(KEY))
    assert (answer.status, answer.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    "asked",
    [
        {"scopes": []},
        {"scopes": ["fly"]},
        {"expires-in-seconds": 0},
        {"expires-in-seconds": 86401},
        {"count": 0},
        {"max-bytes": 0},
        {"types": ["pdf"]},
        {"profile": "absent"},
        {"metadata": {"a": "x" * 2100}},
    ],
)
async def test_a_token_that_makes_no_sense_is_not_minted(app, asked):
    answer = await call(app, "POST", "/public/tokens", json.dumps(asked).encode(), "application/json", who=key(KEY))
    assert answer.status == 400


async def test_a_token_limits_size_types_and_profile(app, house):
    house.upload.profiles["scans"] = Profile(types=("image/*",), max_bytes=100)
    who = await minted(app, **{"max-bytes": 3, "types": ["image/png", "text/plain"], "profile": "scans"})
    too_large = await call(app, *CALLS["upload"][1], who=who)
    assert (too_large.status, too_large.json()["limit"]) == (413, 3)
    form = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hey", "a.txt"))
    assert (await call(app, "POST", "/public/sources/upload-source", *form, who=who)).status == 200
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.profile, record.types) == ("scans", ["image/png"])
    form = multipart(("ws-uuid", CHANNEL), ("source-uuid", "s-2"), ("profile", "default"), ("file", b"hey", "a.txt"))
    answer = await call(app, "POST", "/public/sources/upload-source", *form, who=who)
    assert (answer.status, answer.json()["code"]) == (403, "profile_pinned")


async def test_a_profile_that_was_named_after_the_file_limits_it_too(app, house):
    house.upload.profiles["small"] = Profile(max_bytes=4)
    form = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hello", "a.txt"), ("profile", "small"))
    answer = await call(app, "POST", "/public/sources/upload-source", *form, who=key(KEY))
    assert (answer.status, answer.json()["limit"]) == (413, 4)
    assert house.inner.keys("objects/") == []


@pytest.mark.parametrize("extra", [key(KEY), [("Authorization", "Bearer hrt_x")], [("X-API-Key", KEY)]])
async def test_two_credentials_are_refused_and_not_chosen_from(app, extra):
    who = await minted(app)
    assert (await call(app, *CALLS["read"][0], who=[*who, *extra])).status == 401


async def test_guesses_are_throttled_and_a_right_key_from_there_is_served(house):
    app = application(house, guesses_per_minute=2)
    for _ in range(2):
        assert (await call(app, *CALLS["read"][0], who=key("wrong"))).status == 401
    refused = await call(app, *CALLS["read"][0], who=key("wrong"))
    assert (refused.status, refused.json()["code"]) == (429, "too_many_guesses")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await call(app, *CALLS["read"][0], who=[("Authorization", "Bearer hrt_wrong")])).status == 429
    assert (await call(app, *CALLS["read"][0], who=key(KEY))).status == 200


async def test_a_call_without_a_credential_is_no_guess(house):
    app = application(house, guesses_per_minute=1)
    for _ in range(3):
        assert (await call(app, *CALLS["read"][0], who=[])).status == 401


async def test_a_token_brings_as_many_sources_as_it_may(app, house):
    who = await minted(app, count=2)

    async def upload(*sources):
        parts = [part for source in sources for part in (("source-uuid", source), ("file", b"hey", "a.txt"))]
        return await call(app, "POST", "/public/sources/upload-source", *multipart(("ws-uuid", CHANNEL), *parts), who=who)

    assert (await upload("s-1")).status == 200
    assert (await upload("s-1")).status == 200
    several = await upload("s-2", "s-3")
    assert [(source["status"], source.get("code")) for source in several.json()["sources"]] == [(200, None), (403, "token_used_up")]
    refused = await upload("s-4")
    assert (refused.status, refused.json()["code"]) == (403, "token_used_up")
    assert [name.rpartition("~")[2] for name in inbox.page(house.inner, after="", limit=9)] == ["s-1", "s-2"]
    assert [house.bytes_of(inbox.read(house.inner, ADA, source)) for source in ("s-1", "s-2")] == [b"hey", b"hey"]
    assert len(house.inner.keys("objects/")) == 1, "of several; the one that came alone is in its record"


async def test_a_quota_is_told_with_every_answer_and_refuses_before_a_byte_of_the_body(house):
    app = application(house, uploads_per_minute=2, registrations_per_minute=1)
    told = await call(app, *CALLS["upload"][0], who=key(KEY))
    assert told.headers["ratelimit-policy"] == '"registrations";q=1;w=60'
    assert (await call(app, *CALLS["upload"][0], who=key(KEY))).json()["quota"] == "registrations"
    for left in (1, 0):
        assert (await call(app, *CALLS["upload"][1], who=key(KEY))).headers["ratelimit"].startswith(f'"uploads";r={left};')
    refused = await call(app, *CALLS["upload"][1], who=key(KEY))
    assert (refused.status, refused.json()["code"], refused.received_before_answer) == (429, "rate_limited", 0)
    assert int(refused.headers["retry-after"]) > 0


async def test_several_files_count_each(house):
    app = application(house, uploads_per_minute=2)
    parts = [part for n in range(3) for part in (("source-uuid", f"s-{n}"), ("file", b"hey", "a.txt"))]
    refused = await call(app, "POST", "/public/sources/upload-source", *multipart(("ws-uuid", CHANNEL), *parts), who=key(KEY))
    assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
    assert house.inner.keys("objects/") == []


async def test_bytes_that_no_header_promised_are_counted_when_they_have_come(house):
    app = application(house, bytes_per_day=8)
    body, kind = FORM
    headers = [*key(KEY), ("content-type", kind), ("transfer-encoding", "chunked")]
    assert (await request(app, "POST", "/public/sources/upload-source", [body], headers=headers)).status == 200
    assert (await request(app, "POST", "/public/sources/upload-source", [body], headers=headers)).status == 429


async def test_too_many_open_sources_refuse_before_a_byte_of_the_body(house):
    app = application(house, open_per_owner=1)
    assert (await call(app, *CALLS["upload"][1], who=key(KEY))).status == 200
    refused = await call(
        app, "POST", "/public/sources/upload-source", *multipart(("ws-uuid", CHANNEL), ("source-uuid", "s-2"), ("file", b"x", "a.txt")), who=key(KEY)
    )
    assert (refused.status, refused.json()["quota"], refused.headers["retry-after"], refused.received_before_answer) == (429, "open-sources", "10", 0)
