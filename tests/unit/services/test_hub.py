import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.domain.errors import Unavailable
from app.domain.ids import ChannelId
from app.services import hub
from app.services.hub import Hub
from app.services.listener import UNKNOWN
from tests.unit.doubles import ADA, CHANNEL, EVE, Feed, House, Ledger
from tests.unit.services.channel import Channel, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


@pytest.fixture
def channel(house):
    return Channel(house)


async def test_many_readers_of_a_channel_cost_one_subscription(house, channel):
    await channel.open()
    watched = []
    watch = house.feed.watch
    house.feed.watch = lambda *args: (watched.append(args), watch(*args))[1]
    listeners = await asyncio.gather(*(house.hub.join(ADA, CHANNEL) for _ in range(10)))
    assert watched == [(ADA, CHANNEL)]
    for listener in listeners[:-1]:
        house.hub.leave(ADA, CHANNEL, listener)
        assert house.feed.watched
    house.hub.leave(ADA, CHANNEL, listeners[-1])
    assert not house.feed.watched


async def test_channels_of_one_name_and_two_owners_do_not_meet(house, channel):
    mine, other = await house.hub.join(ADA, CHANNEL), await house.hub.join(EVE, CHANNEL)
    house.feed.publish(ADA, CHANNEL, b"p x")
    assert await mine.wait(5)
    assert (mine.take(), other.take()) == ([b"p x"], [])
    await house.hub.join(ADA, ChannelId("w-2"))


async def test_a_join_does_not_wait_for_that_of_another_channel(house):
    stuck, watch = asyncio.Event(), house.feed.watch

    async def watching(owner, channel):
        if channel == CHANNEL:
            await stuck.wait()
        await watch(owner, channel)

    house.feed.watch = watching
    slow = asyncio.create_task(house.hub.join(ADA, CHANNEL))
    await asyncio.wait_for(house.hub.join(ADA, ChannelId("w-2")), 5)
    assert not slow.done()
    stuck.set()
    await asyncio.wait_for(slow, 5)


async def test_all_who_wait_for_a_subscription_that_fails_are_told_and_the_next_one_tries_anew(house):
    house.feed.refuses = True
    answers = await asyncio.gather(*(house.hub.join(ADA, CHANNEL) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    house.feed.refuses = False
    listener = await house.hub.join(ADA, CHANNEL)
    assert house.feed.watched == {(ADA, CHANNEL)}
    house.hub.leave(ADA, CHANNEL, listener)
    assert house.hub._rooms == {}


async def test_who_gives_up_waiting_for_a_subscription_leaves_none_behind(house):
    joining = asyncio.create_task(house.hub.join(ADA, CHANNEL))
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    await until(lambda: not house.hub._rooms)
    assert house.feed.watched == set()


async def test_listeners_are_counted(house):
    def count():
        return REGISTRY.get_sample_value("headrace_listeners"), REGISTRY.get_sample_value("headrace_joins_total")

    open_before, joins_before = count()
    listener = await house.hub.join(ADA, CHANNEL)
    assert count() == (open_before + 1, joins_before + 1)
    for _ in range(2):
        house.hub.leave(ADA, CHANNEL, listener)
        assert count() == (open_before, joins_before + 1)


async def test_one_sweep_tells_those_whose_channel_has_moved_on_and_nobody_else(house, channel, monkeypatch):
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.01)
    asked = []
    heads = house.ledger.heads

    async def counting(channels):
        asked.append(list(channels))
        return await heads(channels)

    house.ledger.heads = counting
    await channel.open()
    other, moved = ChannelId("w-2"), await house.hub.join(ADA, CHANNEL)
    unregistered, busy = await house.hub.join(ADA, other), await house.hub.join(ADA, CHANNEL)
    moved.position, unregistered.position = (channel.stream.epoch, channel.head), UNKNOWN
    channel.append(publish=False)
    async with House() as swept:
        swept.hub._rooms, swept.hub._channels = house.hub._rooms, house.ledger
        await until(lambda: moved.missed)
        assert not unregistered.missed
        assert not busy.missed, "its reader is reading"
    assert {(ADA, CHANNEL), (ADA, other)} == set(asked[0])
    assert len(asked[0]) == 2


async def test_a_sweep_that_redis_does_not_answer_is_not_the_last(house, channel, monkeypatch):
    await channel.open()
    listener = await house.hub.join(ADA, CHANNEL)
    listener.position = (channel.stream.epoch, 0)
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.01)
    house.ledger.away = True
    async with House(ledger=house.ledger) as swept:
        swept.hub._rooms = house.hub._rooms
        await asyncio.sleep(0.03)
        assert not listener.missed
        house.ledger.away = False
        await until(lambda: listener.missed)


MOVES = st.lists(st.tuples(st.sampled_from(["join", "leave", "cancel", "turn", "refuse", "serve"]), st.integers(0, 1), st.integers(0, 5)), max_size=40)


@settings(max_examples=300)
@given(MOVES)
def test_whoever_joins_and_leaves_when_a_listener_is_never_on_an_unsubscribed_channel(moves):
    async def scenario():
        feed = Feed()
        tested = Hub(feed, Ledger())
        names = [ChannelId("w-1"), ChannelId("w-2")]
        joining: list[tuple[ChannelId, asyncio.Task]] = []
        joined = []

        def settle():
            for pair in [pair for pair in joining if pair[1].done()]:
                joining.remove(pair)
                if not pair[1].cancelled() and pair[1].exception() is None:
                    joined.append((pair[0], pair[1].result()))
            assert {(ADA, name) for name, _ in joined} <= feed.watched

        for move, which, turns in moves:
            if move == "join":
                joining.append((names[which], asyncio.create_task(tested.join(ADA, names[which]))))
            elif move == "leave" and joined:
                name, listener = joined.pop(turns % len(joined))
                tested.leave(ADA, name, listener)
            elif move == "cancel" and joining:
                joining[turns % len(joining)][1].cancel()
            elif move == "turn":
                for _ in range(turns):
                    await asyncio.sleep(0)
                    settle()
            else:
                feed.refuses = {"refuse": True, "serve": False}.get(move, feed.refuses)
            settle()
        with contextlib.suppress(Unavailable):
            await asyncio.gather(*(task for _, task in joining), return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)
        settle()
        assert feed.watched == {(ADA, name) for name, _ in joined}
        for name, listener in joined:
            tested.leave(ADA, name, listener)
        assert (feed.watched, tested._rooms) == (set(), {})

    asyncio.run(scenario())
