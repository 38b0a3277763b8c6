import asyncio
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from app.api.public_sources import PREFIXES
from app.domain.layout import artifact_key, dead_key, result_key, split_member
from app.domain.policy import JSON_BODY_BYTES
from app.domain.results import Artifact, failed
from app.domain.tokens import holder, issue
from app.protocol import inbox
from app.services import synchronous
from headrace_plugin import EMBEDDINGS
from tests.unit.api.asgi import WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, KEY, NOW, SECRET, SOURCE, USER, House, a_failure, a_success, announcer, contents

pytestmark = pytest.mark.anyio

FORM, FORM_TYPE = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hello", "a.txt"))
SYNC_FORM, _ = multipart(("source-id", SOURCE), ("file", b"hello", "a.txt"))
WS = json.dumps({"ws-uuid": CHANNEL}).encode()
TOKEN = issue(SECRET, ADA, CHANNEL, NOW + timedelta(seconds=60))
CALLS = [
    ("POST", "/ws", WS, "application/json"),
    ("POST", "/upload-source", FORM, FORM_TYPE),
    ("POST", "/upload-source/file", SYNC_FORM, FORM_TYPE),
    ("POST", "/upload-source/sync", b'{"source-id": "s-1", "data": {}}', "application/json"),
    ("POST", "/reprocess", b"{}", "application/json"),
    ("GET", "", b"", ""),
    ("GET", "/s-1", b"", ""),
    ("DELETE", "/s-1", b"", ""),
]
WITHOUT_A_BODY = [("POST", "/s-1/cancel", b"", ""), ("POST", "/s-1/retry", b"", ""), ("POST", "/s-1/reprocess", b"", "")]


async def call(app, method, path, body=b"", content_type="", *, prefix="/public/sources", **headers):
    typed = {"content-type": content_type, "content-length": str(len(body))} if body else {}
    return await request(app, method, prefix + path, [body] if body else [], headers=WHO | typed | headers)


async def worker(house, make=a_success):
    """Ends every run that comes into the inbox, until it is cancelled."""
    while True:
        for owner, source in map(split_member, inbox.page(house.inner, after="", limit=100)):
            record = inbox.read(house.inner, owner, source)
            result = make(record)
            inbox.unpack(house.inner, owner, record)
            house.inner.create(result_key(owner, source, record.run), result.to_json())
            if not house.ledger.away:
                await house.ledger.finish(owner, record, announcer().ended(owner, result), state=result.state)
                inbox.remove(house.inner, owner, record)
        await asyncio.sleep(0.005)


@pytest.fixture
async def working(house):
    tasks = []
    yield lambda make=a_success: tasks.append(asyncio.create_task(worker(house, make)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(synchronous, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(synchronous, "_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(("method", "path", "body", "content_type"), CALLS + WITHOUT_A_BODY)
@pytest.mark.parametrize(
    "who",
    [
        [],
        [("X-API-Key", KEY)],
        [("X-User-ID", USER)],
        [("X-API-Key", "wrong"), ("X-User-ID", USER)],
        [("X-API-Key", KEY), ("X-API-Key", KEY), ("X-User-ID", USER)],
        [("X-API-Key", KEY), ("X-API-Key", "wrong"), ("X-User-ID", USER)],
        [("X-API-Key", KEY), ("X-User-ID", USER), ("X-User-ID", "eve@example.com")],
        [("X-API-Key", KEY), ("X-User-ID", "")],
    ],
)
async def test_without_one_good_key_and_one_user_every_call_is_a_401_before_a_byte_is_read(app, house, method, path, body, content_type, who):
    headers = [*who, ("content-type", content_type), ("content-length", str(len(body)))]
    answer = await request(app, method, "/public/sources" + path, [body], headers=headers)
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (401, "application/problem+json", "unauthorized")
    assert answer.received_before_answer == 0
    assert contents(house.inner) == {}
    assert house.ledger.memory.channels == {}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("method", "path", "body", "content_type"), CALLS)
async def test_every_call_is_served_under_every_alias(app, house, working, prefix, method, path, body, content_type):
    working()
    if method in {"GET", "DELETE"}:
        await call(app, "POST", "/upload-source", FORM, FORM_TYPE)
    answer = await call(app, method, path, body, content_type, prefix=prefix)
    assert answer.status == (204 if method == "DELETE" else 200)


async def test_a_header_that_old_clients_send_is_ignored(app):
    assert (await call(app, "GET", "", **{"x-domain": "anything"})).status == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
async def test_a_json_body_works_whatever_its_type_says(app, house, content_type):
    answer = await request(app, "POST", "/public/sources/ws", [WS], headers=WHO | ({"content-type": content_type} if content_type else {}))
    assert (answer.status, answer.json()) == (200, {"ws-address": f"ws://127.0.0.1:8811/ws/{CHANNEL}?token={TOKEN}"})
    assert await house.ledger.resolve(CHANNEL) == ADA


async def test_the_address_is_named_as_the_outside_calls_us(house):
    app = application(house, trusted_proxies=["10.0.0.0/8"])
    forwarded = WHO | {"host": "inner:80", "x-forwarded-host": "up.example", "x-forwarded-proto": "https"}
    for client, address in (("10.1.2.3", "wss://up.example/ws/w-1"), ("192.0.2.1", "ws://127.0.0.1:8811/ws/w-1")):
        answer = await request(app, "POST", "/public/sources/ws", [WS], headers=forwarded, client=client)
        assert answer.json() == {"ws-address": f"{address}?token={TOKEN}"}


@pytest.mark.parametrize(("body", "keeps"), [({"keep-open": True}, True), ({"keep-open": False}, False), ({}, False), ({"unknown": 1}, False)])
async def test_a_channel_is_kept_open_when_that_is_asked_for(app, house, body, keeps):
    await call(app, "POST", "/ws", json.dumps({"ws-uuid": CHANNEL} | body).encode())
    assert (await house.ledger.state(ADA, CHANNEL)).keep_open is keeps


@pytest.mark.parametrize("more", [{}, {"keep-open": False}])
async def test_a_channel_waits_for_as_many_sources_as_are_expected(app, house, more):
    assert (await call(app, "POST", "/ws", json.dumps({"ws-uuid": CHANNEL, "expect": 10_000} | more).encode())).status == 200
    state = await house.ledger.state(ADA, CHANNEL)
    assert (state.expected, state.ended, state.waits_for_more) == (10_000, 0, True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"\xff", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"ws-uuid": "\\ud800"}', "malformed_json"),
        (b"[]", "invalid_field"),
        (b"null", "invalid_field"),
        (b'"w-1"', "invalid_field"),
        (b"{}", "missing_field"),
        (b'{"ws-uuid": null}', "missing_field"),
        (b'{"ws-uuid": ""}', "missing_field"),
        (b'{"ws-uuid": 7}', "invalid_field"),
        (b'{"ws-uuid": ["w"]}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "keep-open": "perhaps"}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "expect": 0}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "expect": 10001}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "expect": true}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "expect": 1.5}', "invalid_field"),
        (b'{"ws-uuid": "w-1", "expect": 2, "keep-open": true}', "expect_or_keep_open"),
        (b'{"ws-uuid": ".."}', "invalid_id"),
        (b'{"ws-uuid": "."}', "invalid_id"),
        (b'{"ws-uuid": "a b"}', "invalid_id"),
        (b'{"ws-uuid": "a/b"}', "invalid_id"),
        (b'{"ws-uuid": "a\\u0000"}', "invalid_id"),
        (b'{"ws-uuid": "a\\n"}', "invalid_id"),
        ('{"ws-uuid": "\u0661"}'.encode(), "invalid_id"),
        (json.dumps({"ws-uuid": "x" * 129}).encode(), "invalid_id"),
    ],
)
async def test_a_wrong_registration_is_a_400(app, house, body, code):
    answer = await call(app, "POST", "/ws", body, "application/json")
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (400, "application/problem+json", code)
    assert house.ledger.memory.channels == {}


async def test_another_s_channel_is_a_404_without_a_hint(app):
    await call(app, "POST", "/ws", WS)
    answer = await call(app, "POST", "/ws", WS, **{"x-user-id": "eve@example.com"})
    assert (answer.status, answer.json()) == (
        404, {"type": "urn:headrace:problem:not_found", "title": "Not Found", "status": 404, "detail": "no such channel", "code": "not_found"},
    )  # fmt: skip


async def test_a_registration_without_redis_is_answered_with_an_address_that_opens_it_later(app, house):
    house.ledger.away = True
    answer = await call(app, "POST", "/ws", WS)
    token = parse_qs(urlsplit(answer.json()["ws-address"]).query)["token"][0]
    assert (answer.status, holder([SECRET], CHANNEL, token, NOW)) == (200, ADA)
    house.ledger.away = False
    async with asyncio.timeout(10):
        while (state := await house.ledger.state(ADA, CHANNEL)) is None:
            await asyncio.sleep(0)
    assert state.registered


async def test_a_registration_without_redis_is_a_503_where_its_address_is_a_ticket(house):
    app = application(house, ws_tickets="required")
    house.ledger.away = True
    answer = await call(app, "POST", "/ws", WS)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("path", ["/ws", "/upload-source/sync"])
async def test_a_json_body_over_the_limit_is_a_413_from_its_header_or_as_soon_as_it_is_known(app, house, path):
    answer = await call(app, "POST", path, b"{}", **{"content-length": str(JSON_BODY_BYTES + 1)})
    assert (answer.status, answer.received_before_answer) == (413, 0)
    chunks = [b" " * 1024 * 1024] * 14
    answer = await request(app, "POST", "/public/sources" + path, chunks, headers=WHO | {"transfer-encoding": "chunked"})
    assert (answer.status, answer.received_before_answer) == (413, 11)
    assert answer.json() | {"status": 413, "code": "too_large", "limit": JSON_BODY_BYTES} == answer.json()


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "", "1 1", "\u00b2"])
@pytest.mark.parametrize("path", ["/ws", "/upload-source"])
async def test_a_content_length_that_is_no_number_is_a_400(app, length, path):
    answer = await call(app, "POST", path, FORM, FORM_TYPE, **{"content-length": length})
    assert (answer.status, answer.json()["code"]) == (400, "invalid_content_length")


async def test_a_url_is_accepted(app, house):
    form, form_type = multipart(("content", "https://example.com/a.pdf"), ("ws-uuid", CHANNEL), ("source-uuid", SOURCE))
    assert (await call(app, "POST", "/upload-source", form, form_type)).json() == {"message": f"Processing file: {SOURCE}"}
    assert inbox.read(house.inner, ADA, SOURCE).url == "https://example.com/a.pdf"


async def test_the_same_upload_again_is_answered_alike_and_another_is_a_409(app, house):
    for _ in range(2):
        assert (await call(app, "POST", "/upload-source", FORM, FORM_TYPE)).status == 200
    other, form_type = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"others", "a.txt"))
    answer = await call(app, "POST", "/upload-source", other, form_type)
    assert (answer.status, answer.json()["code"]) == (409, "digest_mismatch")
    assert (house.bytes_of(inbox.read(house.inner, ADA, SOURCE)), house.objects()) == (b"hello", set())


async def test_an_empty_file_is_accepted_since_a_worker_says_what_is_wrong_with_it(app, house):
    form, form_type = multipart(("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"", "a.txt"))
    assert (await call(app, "POST", "/upload-source", form, form_type)).status == 200
    assert inbox.read(house.inner, ADA, SOURCE).size == 0


async def test_a_file_is_processed_and_answered(app, working):
    working()
    answer = await call(app, "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE)
    assert (answer.status, set(answer.json())) == (200, {"source-id", "filename", "download_url"})
    assert (answer.json()["source-id"], answer.json()["filename"]) == (SOURCE, "a.txt")


@pytest.mark.parametrize("data", ["{}", "[1, 2.5, null]", '"text"', "0", "null", "false"])
async def test_any_json_is_stored_as_a_document(app, house, working, data):
    working()
    answer = await call(
        app, "POST", "/upload-source/sync", b'{"source-id": "s-1", "tags": [{"a": "b"}], "generate-embedding": true, "data": %s}' % data.encode()
    )
    assert (answer.status, set(answer.json())) == (200, {"source-id", "filename", "download_url", "embedding-status"})
    assert (answer.json()["filename"], answer.json()["embedding-status"]) == ("s-1.json", "DISABLED")
    (key,) = house.inner.keys("objects/")
    assert json.loads(house.inner.get(key)) == json.loads(data)


async def test_it_says_whether_the_source_was_embedded(app, working):
    def embedded(record, **more):
        result = a_success(record, **more)
        vectors = Artifact(key=artifact_key(ADA, record.source_uuid, record.run, result.fence, EMBEDDINGS), size=1, media_type="x/y", filename="e")
        return result.model_copy(update={"artifacts": result.artifacts | {"embeddings": vectors}})

    working(embedded)
    answer = await call(app, "POST", "/upload-source/sync", b'{"source-id": "s-1", "generate-embedding": true, "data": 1}')
    assert (answer.status, answer.json()["embedding-status"]) == (200, "COMPLETED")


async def test_a_url_is_processed_and_answered(app, working):
    working()
    answer = await call(app, "POST", "/upload-source/sync", b'{"source-id": "s-1", "filename": "u.pdf", "url": "https://example.com/"}')
    assert (answer.status, answer.json()["filename"]) == (200, "u.pdf")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "missing_field"),
        (b'{"source-id": "s-1"}', "data_or_url"),
        (b'{"source-id": "s-1", "url": ""}', "data_or_url"),
        (b'{"source-id": "s-1", "url": "http://x/", "data": 1}', "data_or_url"),
        (b'{"source-id": "s-1", "url": "file:///etc/passwd"}', "invalid_url"),
        (b'{"source-id": "a/b", "data": 1}', "invalid_id"),
        (b'{"source-id": 1, "data": 1}', "invalid_field"),
        (b'{"source-id": "s-1", "data": 1, "tags": {}}', "invalid_field"),
        (b'{"source-id": "s-1", "data": 1, "tags": [1]}', "invalid_field"),
        (b'{"source-id": "s-1", "data": 1, "metadata": 1}', "invalid_field"),
        (b'{"source-id": "s-1", "data": 1, "metadata": {"k": "%s"}}' % (b"x" * 4096), "metadata_too_large"),
        (b'{"source-id": "s-1", "data": "\\udfff"}', "malformed_json"),
        (b'{"source-id": "s-1", "data": NaN}', "malformed_json"),
        (b'{"source-id": "s-1", "data": 1e999}', "invalid_field"),
        (b'{"source-id": "s-1", "data": ' + b"[" * 500 + b"]" * 500 + b"}", "malformed_json"),
    ],
)
async def test_a_wrong_synchronous_call_is_a_400_and_leaves_nothing(app, house, body, code):
    answer = await call(app, "POST", "/upload-source/sync", body)
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert contents(house.inner) == {}


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([("file", b"x", "a")], "missing_field"),
        ([("source-id", "s-1")], "file_or_content"),
        ([("source-id", "s-1"), ("ws-uuid", "w"), ("file", b"x", "a")], "unexpected_field"),
    ],
)
async def test_a_wrong_synchronous_form_is_a_400_and_leaves_nothing(app, house, parts, code):
    answer = await call(app, "POST", "/upload-source/file", *multipart(*parts))
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert contents(house.inner) == {}


async def test_a_processing_that_fails_is_a_422_with_its_code(app, working):
    working(lambda record: a_failure(record, "encrypted"))
    for path, body, content_type in (("/file", SYNC_FORM, FORM_TYPE), ("/sync", b'{"source-id": "s-2", "data": 1}', "")):
        answer = await call(app, "POST", "/upload-source" + path, body, content_type)
        assert (answer.status, answer.json()["code"], answer.json()["detail"], answer.json()["retryable"]) == (422, "encrypted", "File is encrypted", False)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_processing_that_takes_long_is_a_504_with_its_status_url_and_goes_on(anyio_backend):
    async with House(sync_seconds=0.05) as house:
        answer = await call(application(house), "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE)
        where = f"http://127.0.0.1:8811/public/sources/{SOURCE}"
        assert (answer.status, answer.json()["code"], answer.json()["status-url"], answer.headers["location"]) == (504, "still_processing", where, where)
        assert house.inbox() == [f"{ADA}~{SOURCE}"]


async def test_a_synchronous_call_is_answered_with_redis_away(app, house, working):
    house.ledger.away = True
    working()
    assert (await call(app, "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE)).status == 200


async def test_the_list_is_paged_by_a_cursor_and_shows_this_user_s_only(app, house):
    for source in ("a", "a-b", "a.c", "b"):
        form, form_type = multipart(("ws-uuid", CHANNEL), ("source-uuid", source), ("file", b"x", "n.txt"))
        await call(app, "POST", "/upload-source", form, form_type)
    found, cursor = [], ""
    while cursor is not None:
        page = (await call(app, "GET", f"?limit=3&cursor={cursor}")).json()
        found += [entry["source-uuid"] for entry in page["sources"]]
        cursor = page.get("next-cursor")
    assert sorted(found) == ["a", "a-b", "a.c", "b"]
    assert (await call(app, "GET", "", **{"x-user-id": "eve@example.com"})).json()["sources"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=a/b", "cursor=.."])
async def test_a_wrong_page_is_a_400(app, query):
    assert (await call(app, "GET", "?" + query)).status == 400


async def test_a_source_is_shown_and_deleted_and_its_id_not_used_again(app, house):
    await call(app, "POST", "/upload-source", FORM, FORM_TYPE)
    shown = await call(app, "GET", f"/{SOURCE}")
    assert (shown.json()["state"], shown.json()["run"], shown.json()["ws-uuid"]) == ("accepted", 1, CHANNEL)
    assert (await call(app, "DELETE", f"/{SOURCE}")).status == 204
    for method in ("GET", "DELETE"):
        assert (await call(app, method, f"/{SOURCE}")).status == 404
    answer = await call(app, "POST", "/upload-source", FORM, FORM_TYPE)
    assert (answer.status, answer.json()["code"]) == (409, "deleted")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")])
async def test_another_s_source_is_not_found(app, house, method, path):
    await call(app, "POST", "/upload-source", FORM, FORM_TYPE)
    assert (await call(app, method, f"/{SOURCE}{path}", **{"x-user-id": "eve@example.com"})).status == 404
    assert (await call(app, "GET", f"/{SOURCE}")).status == 200


@pytest.mark.parametrize("path", ["/%20", "/" + "x" * 129, "/a b"])
async def test_an_id_outside_the_alphabet_is_a_400(app, path):
    answer = await call(app, "GET", path)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_id")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_source_is_cancelled_and_run_again_under_every_alias(app, house, prefix):
    await call(app, "POST", "/upload-source", FORM, FORM_TYPE)
    answer = await call(app, "POST", f"/{SOURCE}/retry", prefix=prefix)
    assert (answer.status, answer.json()["code"], answer.json()["run"]) == (409, "not_ended", 1)
    for _ in range(2):
        answer = await call(app, "POST", f"/{SOURCE}/cancel", prefix=prefix)
        shown = answer.json()
        assert (answer.status, shown["state"], shown["code"], shown["retryable"]) == (200, "cancelled", "cancelled", False)
    answer = await call(app, "POST", f"/{SOURCE}/retry?run=1", prefix=prefix)
    assert (answer.status, answer.json()["state"], answer.json()["run"]) == (200, "accepted", 2)
    assert (await call(app, "POST", f"/{SOURCE}/retry?run=1", prefix=prefix)).json()["run"] == 2


async def test_what_succeeded_is_neither_cancelled_nor_run_again(app, house, working):
    working()
    await call(app, "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE)
    for path, code in (("cancel", "already_ended"), ("retry", "already_succeeded")):
        answer = await call(app, "POST", f"/{SOURCE}/{path}")
        assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (409, "application/problem+json", code)


@pytest.mark.parametrize("query", ["run=0", "run=x"])
async def test_a_wrong_run_is_a_400(app, query):
    assert (await call(app, "POST", f"/{SOURCE}/retry?{query}")).status == 400


async def test_a_synchronous_call_whose_source_is_cancelled_is_a_422(app, house):
    async def cancel():
        while not house.inbox():
            await asyncio.sleep(0.005)
        return await call(app, "POST", f"/{SOURCE}/cancel")

    answer, cancelled = await asyncio.gather(call(app, "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE), cancel())
    assert (cancelled.status, answer.status, answer.json()["code"]) == (200, 422, "cancelled")


async def test_dead_letters_are_listed_for_their_owner_only(app, house, working):
    working(lambda record: failed(ADA, record, "crash", fence="f", attempt=3, spent=True))
    await call(app, "POST", "/upload-source/file", SYNC_FORM, FORM_TYPE)
    house.inner.put(dead_key(ADA, SOURCE), b"")
    dead = (await call(app, "GET", "?dead=true")).json()["sources"]
    assert [(entry["source-uuid"], entry["state"], entry["code"]) for entry in dead] == [(SOURCE, "failed", "crash")]
    assert (await call(app, "GET", "?dead=true", **{"x-user-id": "eve@example.com"})).json()["sources"] == []
