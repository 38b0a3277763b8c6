"""Several files in one form: each with its own id, accepted or refused by itself, and nothing of a form that is not whole."""

import asyncio
import itertools

import pytest

from app.api import form as form_module
from app.api.multipart import FIELD_LIMIT_BYTES
from app.domain import policy
from app.domain.errors import Unavailable
from app.domain.policy import MAX_FILES, MIB, UploadPolicy
from app.protocol import inbox
from tests.unit.api.asgi import GONE, WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, House, contents

pytestmark = pytest.mark.anyio

URL = "/public/sources/upload-source"
WS = ("ws-uuid", CHANNEL)
A, B, C = ([("source-uuid", f"s-{name}"), ("file", f"bytes of {name}".encode(), f"{name}.txt")] for name in "abc")


async def post(app, parts, *, url=URL, chunks=None, **headers):
    body, content_type = multipart(*parts)
    sent = WHO | {"content-type": content_type, "content-length": str(len(body))} | headers
    return await request(app, "POST", url, chunks or [body], headers=sent)


def sources(answer):
    return [(each["source-uuid"], each["status"], each.get("code")) for each in answer.json()["sources"]]


def stored(house, source):
    record = inbox.read(house.inner, ADA, source)
    return record and (record.filename, house.inner.get(f"objects/{ADA}/{record.upload}"))


async def test_each_file_is_accepted_under_its_own_id_and_the_answer_says_so(app, house):
    answer = await post(app, [WS, *A, *B, *C, ("metadata", '{"k": 1}')])
    assert (answer.status, answer.json()) == (
        200,
        {"message": "Processing 3 of 3 files", "sources": [{"source-uuid": f"s-{name}", "status": 200} for name in "abc"]},
    )
    assert [stored(house, f"s-{name}") for name in "abc"] == [(f"{name}.txt", f"bytes of {name}".encode()) for name in "abc"]
    records = [inbox.read(house.inner, ADA, f"s-{name}") for name in "abc"]
    assert [record.metadata for record in records] == [{"k": 1}] * 3
    assert len({record.digest for record in records}) == 3
    assert len(house.ledger.memory.enqueued) == 3
    assert house.budget._left == house.budget_bytes


async def test_a_single_file_is_answered_as_ever(app, house):
    assert (await post(app, [WS, *A])).json() == {"message": "Processing file: s-a"}


async def test_names_of_their_own_win_in_their_order(app, house):
    await post(app, [("filename", "one.txt"), *A, ("filename", "two.txt"), WS, *B])
    assert [stored(house, "s-a")[0], stored(house, "s-b")[0]] == ["one.txt", "two.txt"]


@pytest.mark.parametrize(
    ("bad", "shown", "status", "code"),
    [
        ([("source-uuid", ""), B[1]], "", 400, "missing_field"),
        ([("source-uuid", "a/b"), B[1]], "a/b", 400, "invalid_id"),
        ([("source-uuid", "x" * 500), B[1]], "x" * 128, 400, "invalid_id"),
        ([("source-uuid", "s-a"), B[1]], "s-a", 400, "repeated_source"),
        ([("source-uuid", "taken"), B[1]], "taken", 409, "digest_mismatch"),
    ],
)
@pytest.mark.parametrize("place", [1, 2])
async def test_a_bad_file_stops_no_other_and_leaves_nothing(app, house, bad, shown, status, code, place):
    await post(app, [WS, ("source-uuid", "taken"), ("file", b"other bytes", "t.txt")])
    parts = [A, C]
    parts.insert(place, bad)
    answer = await post(app, [WS, *itertools.chain(*parts)])
    assert (answer.status, answer.json()["message"]) == (200, "Processing 2 of 3 files")
    expected = [("s-a", 200, None), ("s-c", 200, None)]
    expected.insert(place, (shown, status, code))
    assert sources(answer) == expected
    assert len(house.objects()) == 2, "the one that came alone is in its record"
    assert sorted(house.inbox()) == [f"{ADA}~s-a", f"{ADA}~s-c", f"{ADA}~taken"]


async def test_when_all_are_refused_the_answer_is_the_first_one_s_problem_with_each_in_it(app, house):
    answer = await post(app, [WS, ("source-uuid", "a/b"), A[1], ("source-uuid", ""), B[1]])
    assert (answer.status, answer.headers["content-type"], answer.json()["code"]) == (400, "application/problem+json", "invalid_id")
    assert sources(answer) == [("a/b", 400, "invalid_id"), ("", 400, "missing_field")]
    assert contents(house.inner) == {}


async def test_the_same_request_again_has_the_same_answer_and_does_nothing_twice(app, house):
    first = await post(app, [WS, *A, *B])
    before = contents(house.inner)
    again = await post(app, [WS, *A, *B])
    assert (again.status, again.json()) == (first.status, first.json())
    assert contents(house.inner) == before
    assert len(house.ledger.memory.enqueued) == 2


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([WS, *A, B[1]], "unpaired_files"),
        ([WS, *A, B[0]], "unpaired_files"),
        ([WS, A[1], B[1]], "unpaired_files"),
        ([WS, A[0], B[0]], "unpaired_files"),
        ([WS, *A, *B, ("filename", "one.txt")], "unpaired_files"),
        ([WS, *A, ("filename", "1"), ("filename", "2")], "unpaired_files"),
        ([WS, A[0], B[0], ("content", "http://example.com/")], "unpaired_files"),
        ([WS, *A, *B, ("content", "http://example.com/")], "file_or_content"),
        ([WS, A[0], ("content", "http://example.com/"), ("content", "http://example.com/")], "repeated_field"),
        ([WS, WS, *A, *B], "repeated_field"),
        ([*A, *B], "missing_field"),
        ([WS, *A, *B, ("metadata", "[]")], "invalid_field"),
        ([WS, *A, *B, ("profile", "fast")], "unknown_profile"),
        ([WS, *A, *B, ("stranger", "x")], "unexpected_field"),
        ([WS, *A * (MAX_FILES + 1)], "too_many_files"),
        ([WS, *A, *B, *[("filename", "x" * FIELD_LIMIT_BYTES)] * 9], "field_too_large"),
    ],
)
async def test_what_is_wrong_with_the_form_refuses_all_of_it(app, house, parts, code):
    answer = await post(app, parts)
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert "sources" not in answer.json()
    assert contents(house.inner) == {}
    assert house.budget._left == house.budget_bytes


async def test_as_many_files_as_the_limit_are_taken(app, house):
    many = [part for n in range(MAX_FILES) for part in (("source-uuid", f"s-{n}"), ("filename", f"{n}.txt"), ("file", b"x", "a.txt"))]
    answer = await post(app, [WS, *many])
    assert (answer.status, len(house.inbox())) == (200, MAX_FILES)


@pytest.mark.parametrize("url", ["/public/sources/upload-source/file"])
async def test_the_synchronous_call_takes_one_file(app, house, url):
    answer = await post(app, [("source-id", "s"), A[1], B[1]], url=url)
    assert (answer.status, answer.json()["code"]) == (400, "repeated_field")
    answer = await post(app, [("source-id", "s"), ("source-id", "t"), A[1]], url=url)
    assert (answer.status, answer.json()["code"]) == (400, "repeated_field")
    assert contents(house.inner) == {}


# ------------------------------------------------------------------------------------------------ sizes


async def test_a_file_that_is_too_large_is_refused_alone_where_a_request_may_bring_more(anyio_backend):
    async with House(policy=UploadPolicy(1000, max_request_bytes=5000)) as house:
        app = application(house)
        large = [("source-uuid", "large"), ("file", b"x" * 1001, "x.txt")]
        answer = await post(app, [WS, *A, *large, *B])
        assert sources(answer) == [("s-a", 200, None), ("large", 413, "too_large"), ("s-b", 200, None)]
        assert len(house.objects()) == 2
        assert house.budget._left == house.budget_bytes
        alone = await post(app, [WS, *large])
        assert (alone.status, alone.json()["code"], alone.json()["limit"]) == (413, "too_large", 1000)
        assert len(house.objects()) == 2


async def test_all_files_together_stay_below_the_limit_of_a_request(anyio_backend):
    async with House(policy=UploadPolicy(1000, max_request_bytes=2000)) as house:
        app = application(house)
        most = 2000 + form_module._FORM_OVERHEAD_BYTES
        parts = [WS, *(part for n in range(3) for part in (("source-uuid", f"s-{n}"), ("file", b"x" * (most // 3), "x")))]
        declared = await post(app, parts)
        assert (declared.status, declared.received_before_answer) == (413, 0)
        body, content_type = multipart(*parts)
        chunks = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
        chunked = await request(app, "POST", URL, chunks, headers=WHO | {"content-type": content_type, "transfer-encoding": "chunked"})
        assert (chunked.status, chunked.json()["limit"]) == (413, 2000)
        assert contents(house.inner) == {}


async def test_where_a_request_may_bring_no_more_than_one_upload_a_file_over_it_ends_the_form_at_once(anyio_backend):
    async with House(policy=UploadPolicy(1000)) as house:
        body, content_type = multipart(WS, *A, ("source-uuid", "large"), ("file", b"x" * 100_000, "x"))
        chunks = [body[at : at + 400] for at in range(0, len(body), 400)]
        answer = await request(application(house), "POST", URL, chunks, headers=WHO | {"content-type": content_type})
        assert (answer.status, answer.json()["code"], answer.received_before_answer < 10) == (413, "too_large", True)
        assert contents(house.inner) == {}


async def test_a_form_holds_no_more_memory_than_two_uploads_however_many_files_it_brings(anyio_backend, monkeypatch):
    """With room for one file and a half at a time, twenty go through; each is made durable while the next one comes."""
    monkeypatch.setattr(policy, "PART_BYTES", MIB)
    async with House(budget_bytes=MIB + MIB // 2) as house:
        least = [house.budget._left]
        take = house.budget._take

        async def watched(share, size):
            await take(share, size)
            least[0] = min(least[0], house.budget._left)

        monkeypatch.setattr(house.budget, "_take", watched)
        many = [part for n in range(20) for part in (("source-uuid", f"s-{n}"), ("file", bytes([n]) * MIB, "a.txt"))]
        body, content_type = multipart(WS, *many)
        chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)]
        answer = await asyncio.wait_for(request(application(house), "POST", URL, chunks, headers=WHO | {"content-type": content_type}), 60)
        assert (answer.status, len(house.inbox())) == (200, 20)
        assert least[0] >= -MIB, "one upload may go over the bound, and no more than one"
        assert house.budget._left == house.budget_bytes


# ------------------------------------------------------------------------------------------------ what goes wrong on the way


@pytest.mark.parametrize("end", [b"", GONE])
async def test_a_client_that_goes_away_at_any_byte_leaves_nothing(app, house, end):
    body, content_type = multipart(WS, *A, *B, ("source-uuid", "s-c"))
    for place in range(0, len(body) - len("--\r\n"), 7):
        answer = await request(app, "POST", URL, [body[: place // 2], body[place // 2 : place], end], headers=WHO | {"content-type": content_type})
        assert answer.status == (499 if end == GONE else 400)
        assert contents(house.inner) == {}, place
    assert house.ledger.memory.enqueued == []
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 0
    assert house.budget._left == house.budget_bytes


@pytest.mark.parametrize("late", [False, True])
async def test_a_store_that_refuses_once_costs_one_file_or_the_whole_request_and_leaves_no_half(house, app, late):
    """Call by call: what was answered is there, whole. A single 503 may have been accepted after all, as with one file; then it is whole too."""
    parts = [WS, *A, *B, *C]
    for refused in range(1, 40):
        house.store.reset(refused, late=late)
        answer = await post(app, parts)
        calls = len(house.store.calls)
        house.store.reset()
        accepted = {name.partition("~")[2] for name in house.inbox()}
        if answer.status == 200:
            said = {source: status for source, status, _ in sources(answer)}
            assert {source for source, status in said.items() if status == 200} <= accepted, "what was answered is there"
            assert all(said[name] == 503 for name in accepted if said[name] != 200)
            assert list(said.values()).count(503) <= 1
        else:
            assert (answer.status, accepted) == (503, set())
        for name in accepted:
            assert stored(house, name) is not None
        house.inner.delete(list(contents(house.inner)))
        house.ledger.memory.wipe()
        if calls < refused:
            assert answer.status == 200
            assert refused > 9, "every call was refused once"
            return
    raise AssertionError("there is no end to its calls")


async def test_with_redis_away_all_are_accepted(app, house):
    house.ledger.away = True
    answer = await post(app, [WS, *A, *B])
    assert (answer.status, len(house.inbox())) == (200, 2)


async def test_a_channel_of_another_owner_refuses_all(app, house):
    await post(app, [WS, *A])
    before = contents(house.inner)
    answer = await post(app, [WS, *A, *B], **{"x-user-id": "eve@example.com"})
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert "sources" not in answer.json()
    assert contents(house.inner) == before


async def test_a_fault_of_ours_at_one_file_does_not_take_the_answers_of_the_others(app, house, monkeypatch, caplog):
    accept = house.ledger.accept

    async def faulty(owner, record, **more):
        if record.source_uuid == "s-b":
            raise RuntimeError("a fault")
        return await accept(owner, record, **more)

    monkeypatch.setattr(house.ledger, "accept", faulty)
    answer = await post(app, [WS, *A, *B, *C])
    assert sources(answer) == [("s-a", 200, None), ("s-b", 500, "internal"), ("s-c", 200, None)]
    assert "one of several uploads failed" in caplog.text


# ------------------------------------------------------------------------------------------------ the channel meanwhile


async def test_the_channel_is_held_from_the_second_file_to_the_last_acceptance(app, house, monkeypatch):
    busy, accept = [], house.ledger.accept

    async def watching(owner, record, **more):
        await accept(owner, record, **more)
        busy.append((await house.ledger.state(ADA, CHANNEL)).busy)

    monkeypatch.setattr(house.ledger, "accept", watching)
    await post(app, [WS, *A, *B])
    assert sorted(busy) == [2, 3], "the hold, and each source"
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 2


async def test_redis_away_in_the_middle_stops_nothing(app, house, monkeypatch):
    async def away(*_args, **_more):
        raise Unavailable("redis_unavailable")

    monkeypatch.setattr(house.ledger, "receiving", away)
    monkeypatch.setattr(house.ledger, "accept", away)
    assert (await post(app, [WS, *A, *B])).status == 200
