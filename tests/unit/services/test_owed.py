import asyncio

import pytest

from app.domain.errors import NotFound, Unavailable
from app.domain.ids import ChannelId, SourceId
from app.domain.layout import marker_key
from app.ports import Due
from app.protocol import inbox
from app.services import owed
from tests.unit.doubles import ADA, CHANNEL, EVE, SOURCE, House, a_record, a_success

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


async def paid(house):
    async with asyncio.timeout(10):
        while len(house.owed):
            await asyncio.sleep(0)


async def test_what_was_accepted_while_redis_was_away_is_enqueued_when_it_is_back(house):
    house.ledger.away = True
    records = [house.stage(a_record(f"s-{number}")) for number in range(40)]
    for record in records:
        await house.accept(ADA, record)
    assert (len(house.owed), house.ledger.memory.enqueued) == (40, [])
    house.ledger.away = False
    await paid(house)
    assert sorted(due.source for due in house.ledger.memory.enqueued) == sorted(record.source_uuid for record in records)


async def test_it_is_enqueued_once_though_the_reconciler_was_faster(house):
    house.ledger.away = True
    record = house.stage(a_record())
    await house.accept(ADA, record)
    house.ledger.away = False
    await house.ledger.accept(ADA, record)
    await paid(house)
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_what_has_ended_meanwhile_is_not_begun_again_though_redis_was_wiped(house):
    house.ledger.away = True
    record = house.stage(a_record())
    await house.accept(ADA, record)
    inbox.remove(house.inner, ADA, record)  # processed, and its end was said
    house.ledger.away = False
    await paid(house)
    assert (house.ledger.memory.enqueued, house.ledger.told_events()) == ([], [])


async def test_a_store_that_is_away_when_redis_is_back_is_waited_for(house):
    house.ledger.away = True
    await house.accept(ADA, house.stage(a_record()))
    house.store.refuse_all = {"get"}
    house.ledger.away = False
    while house.store.calls.count("get") < 3:  # it tries
        await asyncio.sleep(0)
    assert len(house.owed) == 1
    house.store.refuse_all = set()
    await paid(house)
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_a_channel_is_registered_while_redis_is_away_and_has_what_was_asked_of_it_later(house):
    house.ledger.away = True
    await house.access.open(ADA, CHANNEL, keep_open=None, expect=3)
    await house.access.open(ADA, ChannelId("w-2"), keep_open=True, expect=None)
    house.ledger.away = False
    await paid(house)
    first, second = await house.ledger.state(ADA, CHANNEL), await house.ledger.state(ADA, ChannelId("w-2"))
    assert (first.registered, first.expected, first.keep_open) == (True, 3, False)
    assert (second.registered, second.expected, second.keep_open) == (True, 0, True)


async def test_a_registration_that_redis_has_already_is_not_made_a_second_time(house, monkeypatch):
    """Its answer was lost. Once more would begin a new round, and forget what has ended in this one."""
    register = house.ledger.register

    async def lost(*args, **kwargs):
        await register(*args, **kwargs)
        raise Unavailable("redis_unavailable")

    monkeypatch.setattr(house.ledger, "register", lost, raising=False)
    await house.access.open(ADA, CHANNEL, keep_open=None, expect=1)
    monkeypatch.setattr(house.ledger, "register", register, raising=False)
    record = house.stage(a_record())
    await house.ledger.accept(ADA, record)
    result = a_success(record)
    await house.ledger.finish(ADA, record, house.announcer.ended(ADA, result), state=result.state)
    await paid(house)
    state = await house.ledger.state(ADA, CHANNEL)
    assert (state.expected, state.ended) == (1, 1)


async def test_the_channel_of_another_is_refused_while_redis_is_away_if_the_store_knows_it(house):
    house.inner.put(marker_key(CHANNEL, EVE, SourceId("x")), b"")
    house.ledger.away = True
    with pytest.raises(NotFound):
        await house.access.open(ADA, CHANNEL, keep_open=None, expect=None)
    assert len(house.owed) == 0


async def test_a_channel_that_turns_out_to_be_anothers_is_dropped_and_the_rest_is_done(house):
    house.ledger.away = True
    await house.access.open(ADA, CHANNEL, keep_open=None, expect=None)
    await house.accept(ADA, house.stage(a_record(ws_uuid="w-2")))
    house.ledger.away = False
    await house.ledger.register(EVE, CHANNEL, explicit=True)
    await paid(house)
    assert await house.ledger.resolve(CHANNEL) == EVE
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]


async def test_nothing_can_be_registered_while_the_store_is_away_too(house):
    house.ledger.away = True
    house.store.refuse_all = {"names"}
    with pytest.raises(Unavailable):
        await house.access.open(ADA, CHANNEL, keep_open=None, expect=None)
    assert len(house.owed) == 0


async def test_what_is_owed_is_bounded_and_the_rest_is_left_to_the_reconciler(house, monkeypatch):
    monkeypatch.setattr(owed, "MOST", 2)
    house.ledger.away = True
    for number in range(4):
        await house.accept(ADA, house.stage(a_record(f"s-{number}")))
    assert len(house.owed) == 2
    assert len(house.inbox()) == 4


async def test_what_fails_in_a_way_that_nobody_foresaw_stops_nobody_else(house):
    async def fault():
        raise KeyError("a fault")

    house.ledger.away = True
    house.owed.add(("channel", "fault"), fault)
    await house.accept(ADA, house.stage(a_record()))
    house.ledger.away = False
    await paid(house)
    assert house.ledger.memory.enqueued == [Due(ADA, SOURCE, 1)]
