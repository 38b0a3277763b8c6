"""Positions: where a reader goes on, and what it is told when what it was to hear is gone."""

import asyncio
import json

import pytest

from app.domain.errors import InvalidRequest
from app.domain.layout import marker_key
from app.domain.position import Position, position, start
from app.domain.results import acceptance
from app.protocol import inbox
from app.protocol.commit import commit
from tests.unit.doubles import ADA, CHANNEL, SOURCE, a_failure, a_record, a_success
from tests.unit.services.channel import milestones, reader, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("soon")]


def committed(house, result, *, channel=CHANNEL):
    """The run has ended, and its end was said: no inbox record."""
    house.inner.put(marker_key(channel, ADA, result.source_uuid), b"")
    commit(house.inner, ADA, acceptance(result), result)


def parsed(heard):
    return [json.loads(message) for message in heard]


@pytest.mark.parametrize("text", ["", ":", "e", "e:", ":1", "e:-1", "e:1:2", "e:x", "e f:1", "e:1 ", "e:\uff11", "e" * 65 + ":1", "e:" + "1" * 16, "e:1\n"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        position(text)
    assert refused.value.code == "invalid_position"


def test_a_position_reads_back():
    assert position("6b035f36e15bc:12") == Position("6b035f36e15bc", 12)
    assert str(Position("e", 3)) == "e:3"
    assert start([]) is None
    assert start(["e:1", "e:2"]) == Position("e", 2)


@pytest.mark.parametrize("after", range(5))
async def test_a_reader_goes_on_after_its_position_whatever_the_mark(house, channel, after):
    await channel.open()
    channel.append()
    channel.append()
    channel.stream.mark = 2
    heard: list[bytes] = []
    async with reader(house, heard, after=Position(channel.stream.epoch, after) if after < 4 else None) as reading:
        await channel.finish()
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream[after if after < 4 else 2 :]


async def test_who_comes_back_after_the_end_with_its_position_is_closed(house, channel):
    await channel.open()
    await channel.finish()
    heard: list[bytes] = []
    async with reader(house, heard, after=Position(channel.stream.epoch, 2)) as reading:
        await asyncio.wait_for(reading, 20)
    assert heard == []


async def test_who_has_the_roll_up_behind_the_last_end_is_closed_too(house, channel):
    await channel.open(expect=1)
    await channel.finish()
    assert b'"event":"batch"' in channel.stream.stream[-1]
    heard: list[bytes] = []
    async with reader(house, heard, after=Position(channel.stream.epoch, channel.head)) as reading:
        await asyncio.wait_for(reading, 20)
    assert heard == []


async def test_who_comes_back_with_the_position_of_a_recovery_is_shown_the_ends_again_and_closed(house, channel):
    await channel.open()
    committed(house, a_success(channel.record))
    house.ledger.memory.wipe()
    await house.ledger.register(ADA, CHANNEL, explicit=True)
    heard: list[bytes] = []
    async with reader(house, heard, after=Position(channel.stream.epoch, 0)) as reading:
        await asyncio.wait_for(reading, 20)
    assert [(event["event"], event["state"]) for event in parsed(heard)] == [("source.snapshot", "succeeded")]


async def test_who_comes_back_before_the_end_waits_for_it(house, channel):
    await channel.open()
    heard: list[bytes] = []
    async with reader(house, heard, after=Position(channel.stream.epoch, 1)) as reading:
        await asyncio.sleep(0.1)  # several lingers
        assert not reading.done()
        await channel.finish()
        await asyncio.wait_for(reading, 20)
    assert heard == channel.stream.stream[1:]


@pytest.mark.parametrize("why", ["another epoch", "beyond the head"])
async def test_a_position_that_cannot_be_gone_on_from_is_said_with_a_snapshot_of_each_source(house, channel, why):
    committed(house, a_failure(a_record("s-0")))
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    channel.append()
    epoch = channel.stream.epoch
    heard: list[bytes] = []
    async with reader(house, heard, after=Position("gone", 1) if why == "another epoch" else Position(epoch, 3)) as reading:
        await until(lambda: len(heard) == 5)
        assert not reading.done(), "s-1 is open"
        await channel.finish()
        await asyncio.wait_for(reading, 20)
    told = parsed(heard)
    assert (told[0]["event"], told[0]["recovered"], told[0]["event-id"]) == ("channel.recovered", False, f"{epoch}:0")
    assert [(each["event"], each["source-uuid"], each["state"]) for each in told[1:3]] == [
        ("source.snapshot", "s-0", "failed"), ("source.snapshot", "s-1", "accepted"),
    ]  # fmt: skip
    assert told[1]["code"] == "malformed"
    assert not any("status" in each for each in told[:3])
    assert milestones(heard) == [each for each in heard[3:] if b"event-id" in each] == channel.stream.stream


async def test_a_stream_whose_beginning_was_trimmed_is_said_to_be_so(house, channel):
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    for _ in range(4):
        channel.append()
    channel.stream.first = 3
    for after, is_lost in ((1, True), (2, False), (None, False)):
        heard: list[bytes] = []
        async with reader(house, heard, after=after and Position(channel.stream.epoch, after)):
            await until(lambda heard=heard: len(milestones(heard)) == 3)
        assert milestones(heard) == channel.stream.stream[2:]
        assert ("channel.recovered" in [each["event"] for each in parsed(heard)]) == is_lost


@pytest.mark.parametrize("is_live", [True, False])
async def test_who_waits_for_an_end_that_a_wipe_took_is_shown_it_and_closed(house, channel, is_live):
    await channel.open()
    house.stage(channel.record)
    result = a_success(channel.record)
    heard: list[bytes] = []
    if is_live:
        async with reader(house, heard) as reading:
            await until(lambda: len(heard) == 1)
            committed(house, result)
            house.ledger.memory.wipe()
            await asyncio.wait_for(reading, 20)
        assert parsed(heard)[1]["event"] == "channel.recovered"
    else:
        committed(house, result)
        house.ledger.memory.wipe()
        assert await house.access.owner_of(CHANNEL) == ADA
        async with reader(house, heard) as reading:
            await asyncio.wait_for(reading, 20)
    last = parsed(heard)[-1]
    assert (last["event"], last["state"], last["result"]["source-id"]) == ("source.snapshot", "succeeded", SOURCE)


async def test_an_end_that_will_still_be_said_does_not_count_as_told(house, channel):
    await channel.open()
    result = a_success(channel.record)
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: len(heard) == 1)
        inbox.create(house.inner, ADA, channel.record)
        committed(house, result)
        house.ledger.memory.wipe()
        await until(lambda: len(heard) == 3)
        await asyncio.sleep(0.1)  # several lingers
        assert not reading.done()
        await channel.finish(result)
        await asyncio.wait_for(reading, 20)
    assert parsed(heard)[-1]["event"] == "source.succeeded"


async def test_a_channel_that_redis_forgot_after_it_told_an_end_does_not_hang(house, channel):
    await channel.open(keep_open=True)
    await channel.finish()
    heard: list[bytes] = []
    async with reader(house, heard) as reading:
        await until(lambda: len(heard) == 2)
        await asyncio.sleep(0.05)
        assert not reading.done()
        house.ledger.memory.wipe()
        await asyncio.wait_for(reading, 20)


async def test_a_second_end_of_the_same_run_is_not_told_to_a_reader_that_had_one(house, channel):
    await channel.open(keep_open=True)
    await channel.finish()
    heard: list[bytes] = []
    async with reader(house, heard):
        await until(lambda: len(heard) == 2)
        inbox.create(house.inner, ADA, channel.record)
        house.ledger.memory.wipe()
        await channel.open(keep_open=True)
        await channel.finish()
        await channel.open("s-2")
        channel.published()
        await until(lambda: channel.stream.stream[-1] in heard)
    ends = [each for each in parsed(heard) if each.get("status") == "success"]
    assert len(ends) == 1
