import asyncio

import pytest

from app.domain.ids import ChannelId
from app.services import hub
from app.services.hub import Listener
from tests.unit.doubles import ADA, CHANNEL, EVE, House
from tests.unit.services.channel import Channel

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
        await house.hub.leave(ADA, CHANNEL, listener)
        assert house.feed.watched
    await house.hub.leave(ADA, CHANNEL, listeners[-1])
    assert not house.feed.watched


async def test_channels_of_one_name_and_two_owners_do_not_meet(house, channel):
    mine, other = await house.hub.join(ADA, CHANNEL), await house.hub.join(EVE, CHANNEL)
    house.feed.publish(ADA, CHANNEL, b"p x")
    assert await mine.wait(5)
    assert (mine.take(), other.take()) == ([b"p x"], [])
    await house.hub.join(ADA, ChannelId("w-2"))


def test_a_listener_far_behind_drops_what_it_holds_and_knows_that_it_missed_something():
    listener = Listener()
    for _ in range(hub._HELD):
        listener.put(b"p x")
    assert not listener.missed
    listener.put(b"p y")
    assert listener.missed
    assert listener.take() == []
