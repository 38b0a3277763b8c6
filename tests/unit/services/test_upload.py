import asyncio

import pytest
from xxhash import xxh3_128_hexdigest

from app.domain.errors import InvalidRequest, NotFound, Unavailable
from app.domain.policy import INLINE_BYTES, MIB
from app.ports import Due
from app.protocol import inbox
from app.services.upload import Submission
from tests.unit.doubles import ADA, CHANNEL, EVE, SOURCE, House, contents

pytestmark = pytest.mark.anyio

LONG = b"[" + b" " * INLINE_BYTES + b"]"


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


def submission(**changes):
    return Submission(**{"source": SOURCE, "channel": CHANNEL, "base_url": "http://h"} | changes)


async def staged(house, body=b"abc"):
    staging = house.upload.staging(ADA, None)
    await staging.write(body)
    return staging


async def test_a_file_is_accepted_with_all_that_was_said_of_it(house):
    said = submission(
        filename="../a\u202e.txt", declared_type="text/plain", tags=[{"a": 1}], metadata={"k": "v"}, options={"o": True}, traceparent="00-x"
    )  # fmt: skip
    staging = await staged(house)
    await house.upload.file(ADA, said, staging)
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.filename, record.declared_type, record.tags, record.metadata, record.options, record.traceparent) == (
        "a.txt", "text/plain", [{"a": 1}], {"k": "v"}, {"o": True}, "00-x",
    )  # fmt: skip
    assert (record.digest, record.size, record.upload) == (xxh3_128_hexdigest(b"abc"), 3, staging.upload)


async def test_a_url_is_accepted_without_a_size_and_keeps_its_digest(house):
    await house.upload.url(ADA, submission(url="https://example.com/a.pdf"))
    record = inbox.read(house.inner, ADA, SOURCE)
    assert (record.kind, record.size, record.filename, record.url) == ("url-upload", None, "unnamed", "https://example.com/a.pdf")
    await house.upload.url(ADA, submission(url="https://example.com/a.pdf"))
    assert inbox.read(house.inner, ADA, SOURCE) == record
    assert house.objects() == set()


@pytest.mark.parametrize(
    "url", ["", "ftp://example.com/", "//example.com", "https://u:p@example.com/", "https://", "http://exa mple.com", "http://x/" + "y" * 2048]
)
async def test_a_url_that_makes_no_sense_is_refused_before_anything_is_kept(house, url):
    with pytest.raises(InvalidRequest) as refused:
        await house.upload.url(ADA, submission(url=url))
    assert refused.value.code == "invalid_url"
    assert contents(house.inner) == {}
    assert await house.ledger.resolve(CHANNEL) is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"metadata": {"k": "x" * 4096}}, "metadata_too_large"),
        ({"metadata": {"k": "\u00e9" * 700}}, "metadata_too_large"),
        ({"tags": ["a"]}, "invalid_field"),
    ],
)
async def test_what_a_submission_may_not_say_is_refused(house, said, code):
    staging = await staged(house)
    with pytest.raises(InvalidRequest) as refused:
        await house.upload.file(ADA, submission(**said), staging)
    assert refused.value.code == code
    await staging.abort()
    with pytest.raises(InvalidRequest):
        await house.upload.url(ADA, submission(url="http://example.com/", **said))
    assert contents(house.inner) == {}


async def test_another_s_channel_is_refused_and_the_bytes_go(house):
    await house.access.register(EVE, CHANNEL, explicit=True)
    for body in (b"abc", b"x" * (9 * MIB)):
        with pytest.raises(NotFound):
            await house.upload.file(ADA, submission(), await staged(house, body))
    with pytest.raises(NotFound):
        await house.upload.url(ADA, submission(url="http://example.com/"))
    with pytest.raises(NotFound):
        await house.upload.document(ADA, submission(), b"{}")
    assert contents(house.inner) == {}


@pytest.mark.parametrize(("body", "call"), [(b"{}", "create"), (LONG, "put")], ids=["inline", "object"])
async def test_a_store_that_does_not_take_the_bytes_accepts_nothing(house, body, call):
    house.store.refuse_all = {call}
    with pytest.raises(Unavailable):
        await house.upload.document(ADA, submission(), body)
    assert contents(house.inner) == {}


async def test_few_bytes_travel_in_the_record_which_is_then_all_that_is_written(house):
    for source, size in (("s-1", 0), ("s-2", INLINE_BYTES), ("s-3", INLINE_BYTES + 1)):
        house.store.reset()
        await house.upload.file(ADA, submission(source=source), await staged(house, bytes(size)))
        record = inbox.read(house.inner, ADA, source)
        is_inline = size <= INLINE_BYTES
        assert (house.bytes_of(record), record.schema_, record.body is not None) == (bytes(size), 2 if is_inline else 1, is_inline)
        assert [call for call in house.store.calls if call in {"put", "create"}] == (["create"] if is_inline else ["put", "create"])


async def test_many_acceptances_that_redis_is_owed_do_not_hold_their_bytes(house):
    house.ledger.away = True
    await house.upload.document(ADA, submission(), b"{}")
    owed = house.owed._owed["source", ADA, SOURCE]
    assert owed.args[1].body is None
    house.ledger.away = False
    await owed()
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_a_document_in_memory_is_accepted_like_a_file(house):
    await house.upload.document(ADA, submission(filename="d.json"), b"{}")
    record = inbox.read(house.inner, ADA, SOURCE)
    assert house.bytes_of(record) == b"{}"
    assert house.budget._left == house.budget_bytes


async def test_a_long_body_holds_its_channel_and_a_short_one_does_not(house):
    staging = await staged(house)
    assert await house.upload.hold(ADA, CHANNEL, staging, 1000) is None
    hold = await house.upload.hold(ADA, CHANNEL, staging, 2 * MIB)
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 1
    await hold.end()
    assert (await house.ledger.state(ADA, CHANNEL)).busy == 0


async def test_a_hold_is_renewed_while_the_body_comes_and_not_with_every_chunk(house, monkeypatch):
    seconds = []
    receiving = house.ledger.receiving

    async def counting(*args, **kwargs):
        seconds.append(kwargs["seconds"])
        await receiving(*args, **kwargs)

    monkeypatch.setattr(house.ledger, "receiving", counting)
    now = [100.0]
    monkeypatch.setattr("app.services.hold.time.monotonic", lambda: now[0])
    hold = await house.upload.hold(ADA, CHANNEL, await staged(house), None)
    for _ in range(100):
        now[0] += 1
        await hold.renew()
    await hold.end()
    assert seconds == [60] * 6 + [0]


async def test_redis_away_stops_no_upload(house):
    house.ledger.away = True
    staging = await staged(house)
    hold = await house.upload.hold(ADA, CHANNEL, staging, None)
    await house.upload.file(ADA, submission(), staging)
    await hold.end()
    assert len(house.inbox()) == 1


@pytest.mark.parametrize("body", [b"{}", LONG], ids=["inline", "object"])
@pytest.mark.parametrize("ticks", range(12))
async def test_a_request_that_is_cancelled_leaves_a_whole_acceptance_or_no_record(house, ticks, body):
    task = asyncio.create_task(house.upload.document(ADA, submission(), body))
    for _ in range(ticks):
        await asyncio.sleep(0.0003)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    record = inbox.read(house.inner, ADA, SOURCE)
    assert record is None or house.bytes_of(record) == body
