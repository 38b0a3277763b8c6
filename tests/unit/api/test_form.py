import asyncio
import itertools
import json

import pytest

from app.domain import policy
from app.domain.policy import MIB, UploadPolicy
from app.protocol import inbox
from tests.unit.api.asgi import GONE, SILENT, WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, SOURCE, House, contents

pytestmark = pytest.mark.anyio

URL = "/public/sources/upload-source"
FIELDS = [("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"hello", "a.txt")]


async def post(app, parts, *, pieces=1, url=URL, **headers):
    body, content_type = multipart(*parts)
    step = -(-len(body) // pieces)
    chunks = [body[at : at + step] for at in range(0, len(body), step)]
    return await request(app, "POST", url, chunks, headers=WHO | {"content-type": content_type, "content-length": str(len(body))} | headers)


@pytest.mark.parametrize("parts", list(itertools.permutations([*FIELDS, ("metadata", '{"k": 1}')])))
async def test_fields_may_come_in_any_order(app, house, parts):
    answer = await post(app, parts)
    assert (answer.status, answer.json()) == (200, {"message": f"Processing file: {SOURCE}"})
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.filename, record.metadata, record.size, record.ws_uuid) == ("a.txt", {"k": 1}, 5, CHANNEL)
    assert house.bytes_of(record) == b"hello"


async def test_a_file_name_of_its_own_wins_over_the_part_s(app, house):
    await post(app, [("filename", "b/../report.pdf"), *FIELDS])
    assert inbox.read(house.inner, ADA, SOURCE).filename == "report.pdf"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        (FIELDS[1:], "missing_field"),
        (FIELDS[:1] + FIELDS[2:], "missing_field"),
        ([("ws-uuid", ""), *FIELDS[1:]], "missing_field"),
        ([("ws-uuid", "a/b"), *FIELDS[1:]], "invalid_id"),
        ([*FIELDS[1:], ("ws-uuid", "a/b")], "invalid_id"),
        ([FIELDS[0], ("source-uuid", ".."), FIELDS[2]], "invalid_id"),
        ([FIELDS[0], ("source-uuid", "x" * 129), FIELDS[2]], "invalid_id"),
        ([FIELDS[0], ("source-uuid", "\u00e9"), FIELDS[2]], "invalid_id"),
        (FIELDS[:2], "file_or_content"),
        ([*FIELDS, ("content", "http://example.com/")], "file_or_content"),
        ([*FIELDS[:2], ("content", "")], "file_or_content"),
        ([*FIELDS[:2], ("content", "ftp://example.com/")], "invalid_url"),
        ([*FIELDS[:2], ("content", "http://a:b@example.com/")], "invalid_url"),
        ([*FIELDS, ("stranger", "x")], "unexpected_field"),
        ([*FIELDS, ("other", b"x", "x.txt")], "unexpected_field"),
        ([*FIELDS, ("ws-uuid", CHANNEL)], "repeated_field"),
        ([*FIELDS, ("file", b"again", "b.txt")], "unpaired_files"),
        ([*FIELDS, ("metadata", "[]")], "invalid_field"),
        ([*FIELDS, ("metadata", "nonsense")], "invalid_field"),
        ([*FIELDS, ("metadata", "[" * 5000)], "invalid_field"),
        ([*FIELDS, ("metadata", '{"a":' * 600 + "1" + "}" * 600)], "invalid_field"),
        ([*FIELDS, ("metadata", '{"a": "\\ud800"}')], "invalid_field"),
        ([*FIELDS, ("metadata", '{"a": NaN}')], "invalid_field"),
        ([*FIELDS, ("metadata", '{"a": ' + "9" * 4400 + "}")], "invalid_field"),
        ([*FIELDS, ("metadata", json.dumps({"a": "x" * 4096}))], "metadata_too_large"),
        ([*FIELDS, ("tags", "{}")], "invalid_field"),
        ([*FIELDS, ("tags", "[1]")], "invalid_field"),
        ([*FIELDS, ("tags", '[{"\\ud800": 1}]')], "invalid_field"),
        ([*FIELDS, ("options", "7")], "invalid_field"),
        ([*FIELDS, ("profile", "fast")], "unknown_profile"),
        ([*FIELDS, *[(f"f{n}", "x") for n in range(400)]], "too_many_parts"),
    ],
)
async def test_a_wrong_form_is_a_400_and_leaves_nothing(app, house, parts, code):
    answer = await post(app, parts)
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (400, "application/problem+json", code)
    assert contents(house.inner) == {}


async def test_a_body_that_is_no_multipart_is_a_400(app, house):
    answer = await request(app, "POST", URL, [b"hello"], headers=WHO | {"content-type": "text/plain", "content-length": "5"})
    assert (answer.status, answer.json()["code"]) == (400, "not_multipart")


async def test_an_empty_content_beside_a_file_counts_as_none(app, house):
    assert (await post(app, [*FIELDS, ("content", "")])).status == 200
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.url, record.kind) == (None, "file-upload")
    assert (await post(app, [*FIELDS[:2], ("file", b"others", "a.txt"), ("content", "")])).status == 409
    assert (house.bytes_of(inbox.read(house.inner, ADA, SOURCE)), house.objects()) == (b"hello", set())


@pytest.mark.parametrize("end", [b"", GONE])
async def test_a_body_cut_at_any_byte_leaves_nothing(app, house, end):
    body, content_type = multipart(*FIELDS)
    for place in range(len(body) - len("--\r\n")):
        answer = await request(app, "POST", URL, [body[:place], end], headers=WHO | {"content-type": content_type, "content-length": str(len(body))})
        assert answer.status == (499 if end == GONE else 400)
        assert contents(house.inner) == {}, place
    assert house.ledger.memory.enqueued == []


async def test_a_large_body_cut_between_its_parts_leaves_nothing_and_its_channel_is_not_held(app, house, monkeypatch):
    small_parts(monkeypatch)
    body, content_type = multipart(*FIELDS[:2], ("file", b"x" * 2000, "a.txt"))
    for place in range(200, 2200, 333):
        await request(app, "POST", URL, [body[:place], GONE], headers=WHO | {"content-type": content_type})
        assert contents(house.inner) == {}
        state = await house.ledger.state(ADA, CHANNEL)
        assert state is None or state.busy == 0
    assert state is not None
    assert house.budget._left == house.budget_bytes


def small_parts(monkeypatch, size=64):
    monkeypatch.setattr(policy, "PART_BYTES", size)
    monkeypatch.setattr("app.adapters.parts._SMALLEST", 1)


async def test_a_body_that_stops_coming_is_a_408_and_leaves_nothing(anyio_backend):
    async with House(policy=UploadPolicy(20 * MIB, body_stall_seconds=0.01)) as house:
        body, content_type = multipart(*FIELDS)
        answer = await asyncio.wait_for(
            request(application(house), "POST", URL, [body[:-60], GONE.replace("gone", SILENT)], headers=WHO | {"content-type": content_type}), 20
        )
        assert (answer.status, answer.json()["code"]) == (408, "request_timeout")
        assert contents(house.inner) == {}


async def test_a_content_length_over_the_limit_is_a_413_before_a_byte_is_read(anyio_backend):
    async with House(policy=UploadPolicy(1000)) as house:
        answer = await post(application(house), FIELDS, **{"content-length": str(1000 + 256 * 1024 + 1)})
        assert (answer.status, answer.json()["code"], answer.received_before_answer) == (413, "too_large", 0)


async def test_a_chunked_body_over_the_limit_is_a_413_as_soon_as_it_is_known(anyio_backend):
    async with House(policy=UploadPolicy(1000)) as house:
        body, content_type = multipart(*FIELDS[:2], ("file", b"x" * 500_000, "a.txt"))
        chunks = [body[at : at + 400] for at in range(0, len(body), 400)]
        answer = await request(application(house), "POST", URL, chunks, headers=WHO | {"content-type": content_type, "transfer-encoding": "chunked"})
        assert (answer.status, answer.json()["code"]) == (413, "too_large")
        assert answer.received_before_answer <= 5
        assert contents(house.inner) == {}


async def test_a_body_that_goes_on_after_the_form_is_bounded_too(anyio_backend):
    async with House(policy=UploadPolicy(1000)) as house:
        body, content_type = multipart(*FIELDS)
        chunks = [body, *[b"x" * 65536] * 100]
        answer = await request(application(house), "POST", URL, chunks, headers=WHO | {"content-type": content_type, "transfer-encoding": "chunked"})
        assert (answer.status, answer.received_before_answer < 10) == (413, True)
        assert contents(house.inner) == {}


async def test_a_file_of_exactly_the_limit_fits_and_a_byte_more_does_not(anyio_backend):
    async with House(policy=UploadPolicy(1000)) as house:
        app = application(house)
        assert (await post(app, [*FIELDS[:2], ("file", b"x" * 1000, "a.txt")])).status == 200
        assert (await post(app, [FIELDS[0], ("source-uuid", "s-2"), ("file", b"x" * 1001, "a.txt")])).status == 413
        assert [name.partition("~")[2] for name in house.inbox()] == [SOURCE]


async def test_a_store_that_refuses_is_a_503_with_retry_after_and_nothing_is_accepted(app, house):
    house.store.refuse_all = {"put", "create"}
    answer = await post(app, FIELDS)
    assert (answer.status, answer.headers["retry-after"], answer.json()["code"]) == (503, "5", "storage_unavailable")
    assert contents(house.inner) == {}


async def test_with_redis_away_an_upload_is_accepted_all_the_same(app, house):
    house.ledger.away = True
    assert (await post(app, FIELDS)).status == 200
    assert house.inbox() == [f"{ADA}~{SOURCE}"]


async def test_a_channel_of_another_owner_is_a_404_and_leaves_nothing(app, house):
    await post(app, FIELDS)
    before = contents(house.inner)
    for size in (5, 2 * MIB):
        answer = await post(app, [FIELDS[0], ("source-uuid", "s-2"), ("file", b"x" * size, "a.txt")], **{"x-user-id": "eve@example.com"})
        assert (answer.status, answer.json()["code"], answer.json()["detail"]) == (404, "not_found", "no such channel")
        assert contents(house.inner) == before


async def test_an_upload_of_unknown_length_holds_its_channel_open_while_it_comes(app, house):
    body, content_type = multipart(*FIELDS)
    busy = []

    async def watching(scope, receive, send):
        async def receiving():
            state = await house.ledger.state(ADA, CHANNEL)
            busy.append(state.busy if state else None)
            return await receive()

        await app(scope, receiving, send)

    place = body.index(b"hello") + 2
    answer = await request(watching, "POST", URL, [body[:place], body[place:]], headers=WHO | {"content-type": content_type, "transfer-encoding": "chunked"})
    assert (answer.status, busy) == (200, [None, 1])
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 1  # the source itself


async def test_the_same_large_upload_again_after_its_end_does_not_hold_its_channel(app, house):
    body, content_type = multipart(*FIELDS)
    headers = WHO | {"content-type": content_type, "transfer-encoding": "chunked"}
    assert (await request(app, "POST", URL, [body], headers=headers)).status == 200
    record = inbox.read(house.inner, ADA, SOURCE)
    from tests.unit.doubles import a_success

    result = a_success(record)
    house.inner.create(f"sources/{ADA}/{SOURCE}/runs/1/result.json", result.to_json())
    await house.ledger.finish(ADA, record, house.announcer.ended(ADA, result), state=result.state)
    inbox.remove(house.inner, ADA, record)
    assert (await request(app, "POST", URL, [body], headers=headers)).status == 200
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 0
