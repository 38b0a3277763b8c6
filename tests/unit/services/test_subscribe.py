import asyncio
import json

import pytest

from app.domain.errors import NotFound, Unavailable
from app.domain.events import SourceProcessing
from app.domain.ids import SourceId
from app.services.message import Message
from tests.unit.doubles import ADA, CHANNEL, EVE, SOURCE, a_failure, a_record, a_success, announcer
from tests.unit.services.channel import reader, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("soon")]


async def test_history_comes_first_then_what_is_live_and_the_end_closes(house, channel):
    await channel.open()
    channel.append()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: len(heard) == 2)
        channel.append()
        await until(lambda: len(heard) == 3)
        await channel.finish()
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream
    assert Message(heard[-1]).is_end
    await until(lambda: channel.stream.told == 4)
    assert house.feed.watched == set()


async def test_who_connects_after_the_end_hears_all_of_it_and_is_closed(house, channel):
    await channel.open()
    await channel.finish(a_failure(channel.record))
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream


@pytest.mark.parametrize("why", ["keep-open", "another source", "receiving"])
async def test_a_channel_that_waits_for_more_is_not_closed(house, channel, why):
    await channel.open(keep_open=why == "keep-open")
    if why == "another source":
        await house.ledger.accept(ADA, a_record("s-2"))
    if why == "receiving":
        await house.ledger.receiving(ADA, CHANNEL, "u", seconds=60)
    await channel.finish()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: heard == channel.stream.stream)
        await asyncio.sleep(0.1)  # several lingers
        assert not reading.done()
        if why == "keep-open":
            await house.ledger.register(ADA, CHANNEL, explicit=True, keep_open=False)
        if why == "another source":
            await house.ledger.finish(ADA, a_record("s-2"), announcer().cancelled(a_record("s-2")), state="cancelled")
        if why == "receiving":
            await house.ledger.receiving(ADA, CHANNEL, "u", seconds=0)
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream


async def test_a_channel_that_expects_sources_is_closed_when_so_many_have_ended_with_pauses_between_them(house, channel):
    await channel.open(expect=2)
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await channel.finish()
        await until(lambda: heard == channel.stream.stream)
        await asyncio.sleep(0.1)  # several lingers
        assert not reading.done(), "one of two"
        channel.record = a_record("s-2")
        await house.ledger.accept(ADA, channel.record)
        channel.published()
        await channel.finish(a_failure(channel.record))
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream
    batches = [event for event in map(json.loads, heard) if event["event"] == "batch"]
    assert [(event["done"], event["failed"], event["total"], event["percent"]) for event in batches] == [(1, 0, 2, 50), (1, 1, 2, 100)]
    assert json.loads(heard[-1]) == batches[-1]


async def test_who_connects_after_all_that_was_expected_has_ended_is_told_all_of_it_and_closed(house, channel):
    await channel.open(expect=1)
    await channel.finish()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream


async def test_a_reader_that_was_told_no_end_is_not_closed(house, channel):
    await house.ledger.register(ADA, CHANNEL, explicit=True)
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await asyncio.sleep(0.1)
        assert not reading.done()
        await channel.open()
        await channel.finish(publish=False)
        await asyncio.wait_for(reading, 20)
    assert len(heard) == 2, "what was not published is found by the sweep"


async def test_a_channel_that_nobody_registered_is_not_found(house):
    for owner in (ADA, EVE):
        with pytest.raises(NotFound):
            await anext(house.subscribe(owner, CHANNEL))


async def test_redis_away_is_said_before_the_first_message(house, channel):
    await channel.open()
    house.ledger.away = True
    with pytest.raises(Unavailable):
        await anext(house.subscribe(ADA, CHANNEL))
    house.ledger.away = False
    house.feed.refuses = True
    with pytest.raises(Unavailable):
        await anext(house.subscribe(ADA, CHANNEL))
    assert house.hub._rooms == {}


async def test_who_leaves_in_the_middle_of_the_history_was_not_told_the_rest(house, channel):
    await channel.open()
    for _ in range(5):
        channel.append()
    messages = house.subscribe(ADA, CHANNEL)
    first = [await anext(messages), await anext(messages), await anext(messages)]
    await messages.aclose()
    await until(lambda: channel.stream.told)
    assert channel.stream.told == 2, "the third was on its way and may not have arrived"
    await house.ledger.register(ADA, CHANNEL, explicit=True)
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 4)
    assert heard == channel.stream.stream[2:]
    assert first == channel.stream.stream[:3]


async def test_progress_is_told_at_a_join_and_live_and_never_goes_back(no_sweep, house, channel, monkeypatch):
    await channel.open()
    channel.progress(10)
    latest = house.ledger.latest_progress

    async def meanwhile(owner, name):
        channel.progress(20)
        channel.progress(30)
        await asyncio.sleep(0.01)
        return await latest(owner, name)

    monkeypatch.setattr(house.ledger, "latest_progress", meanwhile)
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 2)
        channel.progress(40)
        await until(lambda: len(heard) == 3)
    assert [json.loads(message)["progress"] for message in heard[1:]] == [30, 40]


async def test_progress_does_not_go_back_behind_a_milestone_that_came_meanwhile(house, channel, monkeypatch):
    await channel.open()
    latest = house.ledger.latest_progress

    async def meanwhile(owner, name):
        channel.append()
        channel.progress(50)
        await asyncio.sleep(0.01)
        return await latest(owner, name)

    monkeypatch.setattr(house.ledger, "latest_progress", meanwhile)
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 3)
        channel.progress(60)
        await until(lambda: len(heard) == 4)
    assert [json.loads(message)["progress"] for message in heard[1:]] == [1, 50, 60]


async def test_progress_does_not_follow_the_end_that_overtook_it(house, channel, monkeypatch):
    await channel.open()
    latest = house.ledger.latest_progress

    async def meanwhile(owner, name):
        channel.progress(90)
        found = await latest(owner, name)
        await channel.finish()
        await asyncio.sleep(0.01)
        return found

    monkeypatch.setattr(house.ledger, "latest_progress", meanwhile)
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await asyncio.wait_for(reading, 20)
    assert Message(heard[-1]).is_end


async def test_the_end_of_one_source_is_found_among_others(house, channel):
    await channel.open("s-2")
    await channel.finish()
    await channel.open("s-1")
    waiting = asyncio.create_task(house.subscribe.end_of(ADA, CHANNEL, SourceId("s-1")))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await channel.finish()
    end = json.loads(await asyncio.wait_for(waiting, 20))
    assert (end["source-uuid"], end["event"]) == ("s-1", "source.succeeded")


@pytest.mark.parametrize("result", [a_success, a_failure])
def test_an_end_is_known_by_its_bytes_and_nothing_that_a_client_names_looks_like_one(result):
    assert Message(announcer().ended(ADA, result(a_record())).to_json()).is_end
    event = SourceProcessing(source_uuid=SOURCE, run=1, message='"event":"source.failed"', type="file-upload", attempt=1, progress=1)
    assert not Message(event.to_json()).is_end
