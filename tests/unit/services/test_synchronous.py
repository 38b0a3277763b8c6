import asyncio

import pytest

from app.domain.errors import ProcessingFailed
from app.domain.layout import result_key, tombstone_key
from app.domain.source import State
from app.protocol import inbox
from app.services import synchronous
from app.services.synchronous import StillProcessing, own_channel
from tests.unit.doubles import ADA, SOURCE, House, a_failure, a_record, a_success, announcer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(synchronous, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(synchronous, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


async def accepted(house, **changes):
    record = house.stage(a_record(ws_uuid=own_channel(), **changes))
    await house.ledger.register(ADA, record.ws_uuid, explicit=False)
    await house.accept(ADA, record)
    return record


async def work(house, record, make=a_success, *, say=True):
    """What a worker does."""
    result = make(record)
    house.inner.create(result_key(ADA, SOURCE, record.run), result.to_json())
    if say:
        await house.ledger.finish(ADA, record, announcer().ended(ADA, result), state=result.state)
        inbox.remove(house.inner, ADA, record)
    return result


@pytest.mark.parametrize("make", [a_success, a_failure])
async def test_the_result_comes_when_the_source_has_ended(house, make):
    record = await accepted(house)
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, record.ws_uuid, SOURCE))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    result = await work(house, record, make)
    assert await asyncio.wait_for(waiting, 20) == result


async def test_after_the_timeout_it_is_said_that_the_source_goes_on(anyio_backend):
    async with House(sync_seconds=0.1) as house:
        record = await accepted(house)
        with pytest.raises(StillProcessing) as refused:
            await house.synchronous.end_of(ADA, record.ws_uuid, SOURCE)
        assert (refused.value.status, refused.value.retryable) == (504, True)
        assert inbox.read(house.inner, ADA, SOURCE) == record


async def test_with_redis_away_the_end_is_found_in_the_store(house):
    house.ledger.away = True
    record = house.stage(a_record(ws_uuid=own_channel()))
    await house.accept(ADA, record)
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, record.ws_uuid, SOURCE))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    result = await work(house, record, say=False)
    assert await asyncio.wait_for(waiting, 20) == result


async def test_redis_that_went_away_and_came_back_without_the_channel_is_no_404(house):
    record = await accepted(house)
    house.ledger.memory.wipe()
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, record.ws_uuid, SOURCE))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    result = await work(house, record)
    assert await asyncio.wait_for(waiting, 20) == result


async def test_a_second_call_for_the_same_source_ends_with_the_run_of_the_first(house):
    first = await accepted(house)
    second = await accepted(house)
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, second.ws_uuid, SOURCE))
    await asyncio.sleep(0.03)
    result = await work(house, first)
    assert await asyncio.wait_for(waiting, 20) == result


async def test_a_second_call_after_the_end_is_answered_at_once(house):
    result = await work(house, await accepted(house))
    again = await accepted(house)
    assert await asyncio.wait_for(house.synchronous.end_of(ADA, again.ws_uuid, SOURCE), 20) == result


@pytest.mark.parametrize("away", [False, True])
async def test_the_failure_of_an_earlier_run_is_not_the_answer(house, away):
    await work(house, await accepted(house), a_failure)
    house.ledger.away = away
    record = house.stage(a_record(ws_uuid=own_channel()))
    await house.accept(ADA, record)
    record = inbox.read(house.inner, ADA, SOURCE)
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, record.ws_uuid, SOURCE))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await work(house, record, say=False)
    found = await asyncio.wait_for(waiting, 20)
    assert (found.run, found.state) == (2, State.SUCCEEDED)


async def test_a_source_that_is_deleted_meanwhile_ends_the_wait_as_cancelled(house):
    record = await accepted(house)
    waiting = asyncio.create_task(house.synchronous.end_of(ADA, record.ws_uuid, SOURCE))
    await asyncio.sleep(0.01)
    await house.sources.delete(ADA, SOURCE)
    with pytest.raises(ProcessingFailed) as refused:
        await asyncio.wait_for(waiting, 20)
    assert (refused.value.code, refused.value.status) == ("cancelled", 422)
    assert house.inner.stat(tombstone_key(ADA, SOURCE))
