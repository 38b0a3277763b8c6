import pytest

from app.domain.layout import WEBHOOKS, WEBHOOKS_DEAD
from app.domain.webhook import OutboxRecord, callback_secret
from app.protocol import inbox
from tests.unit.api.asgi import multipart, request
from tests.unit.api.test_credentials import call, key, minted
from tests.unit.doubles import ADA, CHANNEL, EVE, KEY, NOW, SECRET, SOURCE

pytestmark = pytest.mark.anyio

ME = key(KEY)


def put(house, owner=ADA, source=SOURCE, *, dead=False, target="callback"):
    told = {"target": target, "url": "http://h/", "created_at": NOW, "next_at": NOW, "attempts": 3, "last": "fetch_failed: status 500"}
    record = OutboxRecord(owner=owner, source_uuid=source, run=1, **told)
    house.inner.put((WEBHOOKS_DEAD if dead else WEBHOOKS) + record.name, record.to_json())
    return record


async def test_a_user_sees_what_waits_and_what_was_given_up_of_its_own_alone(app, house):
    put(house)
    put(house, source="s-2", dead=True, target="scans")
    put(house, owner=EVE)
    answer = await call(app, "GET", "/public/webhooks", who=ME)
    assert [(w["source-uuid"], w["target"], w["given-up"], "next-at" in w) for w in answer.json()["webhooks"]] == [
        (SOURCE, "callback", False, True),
        ("s-2", "scans", True, False),
    ]
    assert b"http://h/" not in answer.body


async def test_what_was_given_up_is_told_anew(app, house):
    record = put(house, dead=True)
    answer = await call(app, "POST", f"/public/webhooks/{SOURCE}/redeliver", who=ME)
    assert [(w["attempts"], w["given-up"]) for w in answer.json()["webhooks"]] == [(0, False)]
    assert (house.inner.keys(WEBHOOKS_DEAD), house.inner.keys(WEBHOOKS)) == ([], [WEBHOOKS + record.name])
    for source in ("s-2", SOURCE[:-1]):
        assert (await call(app, "POST", f"/public/webhooks/{source}/redeliver", who=ME)).status == 404


async def test_anothers_is_not_there(app, house):
    put(house, owner=EVE, dead=True)
    assert (await call(app, "POST", f"/public/webhooks/{SOURCE}/redeliver", who=ME)).status == 404


async def test_the_secret_of_callbacks_is_for_admins(app):
    assert (await call(app, "GET", "/public/webhooks/secret", who=ME)).json() == {"secret": callback_secret(SECRET, "acme")}
    assert (await call(app, "GET", "/public/webhooks/secret", who=key("key-to-upload"))).status == 403


async def upload(app, who, url):
    form = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("callback-url", url), ("file", b"hello", "a.txt"))
    return await call(app, "POST", "/public/sources/upload-source", *form, who=who)


async def test_an_upload_may_name_who_is_told(app, house):
    assert (await upload(app, ME, "https://client.example/hook")).status == 200
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.callback_url, record.organisation) == ("https://client.example/hook", "acme")


@pytest.mark.parametrize("url", ["ftp://h/", "http://user@h/", "//h", "x" * 3000])
async def test_a_callback_that_is_no_url_is_refused(app, house, url):
    answer = await upload(app, ME, url)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_url")
    assert house.inner.keys("objects/") == []


async def test_a_token_names_no_callback(app):
    answer = await upload(app, await minted(app), "https://client.example/hook")
    assert (answer.status, answer.json()["field"]) == (400, "callback-url")


async def test_without_a_callback_the_record_is_as_it_always_was(app, house):
    form = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hello", "a.txt"))
    assert (await call(app, "POST", "/public/sources/upload-source", *form, who=ME)).status == 200
    kept = house.inner.get(house.inner.keys("inbox/")[0])
    assert b"organisation" not in kept
    assert b"callback" not in kept


async def test_the_calls_are_served_under_each_prefix(app):
    for prefix in ("/public", "/public/user", "/api/v1"):
        assert (await request(app, "GET", f"{prefix}/webhooks", headers=ME)).status == 200
