"""Gaps, lost connections, a Redis that goes away or was wiped: what a reader is told is the same."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.domain.errors import Unavailable
from app.domain.results import acceptance
from app.protocol import inbox
from app.protocol.commit import commit
from app.services import held, mailbox
from tests.unit.doubles import ADA, CHANNEL, SOURCE, House, a_record, a_success
from tests.unit.services.channel import Channel, milestones, reader, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("soon")]


async def test_redis_that_goes_away_and_comes_back_loses_nothing(house, channel):
    await channel.open()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: len(heard) == 1)
        house.ledger.away = True
        house.feed.lose()
        await asyncio.sleep(0.05)
        assert not reading.done()
        house.ledger.away = False
        channel.append(publish=False)
        await channel.finish(publish=False)
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream


@pytest.mark.parametrize("why", ["Redis was away", "Redis was wiped"])
async def test_a_reader_waits_for_what_was_accepted_and_redis_does_not_know(house, channel, why):
    await channel.open()
    if why == "Redis was wiped":
        house.hub._missed_at, house.ledger.memory.whole = float("-inf"), False
    record = a_record("s-2")
    inbox.create(house.inner, ADA, record)
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await channel.finish()
        await until(lambda: len(heard) == 2)
        await asyncio.sleep(0.1)  # several lingers
        assert not reading.done()
        await house.ledger.accept(ADA, record)
        channel.record = record
        channel.published()
        result = a_success(record)
        commit(house.inner, ADA, acceptance(result), result)
        await channel.finish(result)
        inbox.remove(house.inner, ADA, record)
        await asyncio.wait_for(reading, 20)
    assert [json.loads(each)["source-uuid"] for each in heard if b'"success"' in each] == [SOURCE, "s-2"]


async def test_who_has_no_doubt_asks_the_store_nothing(house, channel):
    await channel.open()
    house.hub._missed_at = float("-inf")
    inbox.create(house.inner, ADA, a_record("s-2"))  # of which Redis would know, were it there
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await channel.finish()
        await asyncio.wait_for(reading, 20)


async def test_a_history_of_many_pages_that_breaks_off_is_read_again_from_where_it_was_told(house, channel, monkeypatch):
    await channel.open()
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 1)
        read, pages = house.ledger.read, []

        async def breaking(owner, name, *, after, limit=3):
            pages.append(after)
            if len(pages) == 2:
                raise Unavailable
            return await read(owner, name, after=after, limit=3)

        monkeypatch.setattr(house.ledger, "read", breaking)
        for _ in range(8):
            channel.append(publish=False)
        house.feed.lose()
        await until(lambda: len(heard) == 9)
    assert heard == channel.stream.stream


async def test_a_connection_that_is_lost_while_the_history_is_read_is_not_forgotten(no_sweep, house, channel, monkeypatch):
    await channel.open()
    heard: list[bytes] = []
    read = house.ledger.read
    reads = []

    async def losing(owner, name, *, after, limit=500):
        page = await read(owner, name, after=after, limit=limit)
        reads.append(after)
        if len(reads) == 2:  # the second reading has its page: now one is added, and its publication lost
            channel.append(publish=False)
            house.feed.lose()
            await asyncio.sleep(0.01)
        return page

    monkeypatch.setattr(house.ledger, "read", losing)
    async with reader(house, heard):
        await until(lambda: len(heard) == 1)
        channel.append(publish=False)
        house.feed.lose()
        await until(lambda: len(heard) == 3)
    assert heard == channel.stream.stream


async def test_a_gap_in_the_offsets_makes_it_read_the_history_at_once(no_sweep, house, channel):
    await channel.open()
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 1)
        channel.append(publish=False)
        channel.append()
        await until(lambda: len(heard) == 3)
    assert heard == channel.stream.stream


async def test_gaps_histories_and_delays_are_counted(no_sweep, house, channel):

    def counts():
        names = ("history_reads_total", "gaps_healed_total", "delivery_seconds_count")
        return [REGISTRY.get_sample_value(f"headrace_{name}") for name in names]

    await channel.open()
    heard: list[bytes] = []
    before = counts()
    async with reader(house, heard):
        for publish in (True, False):
            await until(lambda: len(heard) == channel.head)
            channel.append(publish=publish)
        await asyncio.sleep(0.01)
        channel.append()
        await until(lambda: len(heard) == channel.head)
        house.feed.lose()
        await asyncio.sleep(0.05)
        assert counts() == [before[0] + 2, before[1] + 1, before[2] + 1], "a join, a gap; healed once; one came live; a reconnect alone costs none"


async def test_a_wiped_channel_begins_anew_which_is_said_and_all_of_it_is_told(house, channel):
    await channel.open()
    channel.append()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: len(heard) == 2)
        house.ledger.memory.wipe()
        await channel.open("s-2")
        channel.published()
        await until(lambda: channel.stream.stream[0] in heard)
        await channel.finish()
        await asyncio.wait_for(reading, 20)
    assert json.loads(heard[2])["recovered"] is False
    assert milestones(heard[2:]) == channel.stream.stream


STEPS = st.lists(st.sampled_from(["append", "append unheard", "late", "lose", "join", "wait", "flood"]), max_size=25)


@settings(max_examples=120)
@given(STEPS)
def test_every_reader_gets_every_milestone_once_and_in_order_whatever_happens_on_the_way(steps):
    async def scenario():
        async with House() as house:
            channel = Channel(house)
            await channel.open()
            readers: list[tuple[asyncio.Task, list[bytes]]] = []

            def join():
                heard: list[bytes] = []

                async def read():
                    async with contextlib.aclosing(house.subscribe(ADA, CHANNEL)) as messages:
                        async for message in messages:
                            heard.append(message)

                readers.append((asyncio.create_task(read()), heard))

            join()
            late: list[int] = []
            for step in steps:
                if step == "append":
                    channel.append()
                elif step == "append unheard":
                    channel.append(publish=False)
                elif step == "late":
                    late.append(channel.append(publish=False))
                elif step == "lose":
                    house.feed.lose()
                elif step == "join":
                    join()
                elif step == "flood":
                    for _ in range(8):
                        channel.append()
                else:
                    await asyncio.sleep(0.001)
                    for offset in late:
                        channel.publish(offset)
                    late.clear()
                    await asyncio.sleep(0)
            await channel.finish()
            await asyncio.wait_for(asyncio.gather(*(task for task, _ in readers)), 20)
            for _, heard in readers:
                assert heard == channel.stream.stream
            assert house.hub._rooms == {}
            assert house.feed.watched == set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(held, "_HELD", 5)
        patched.setattr(mailbox, "_FULL", 5)
        asyncio.run(scenario())
