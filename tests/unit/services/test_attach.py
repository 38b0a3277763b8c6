"""Readers whose messages go into an outlet, as those of sockets do."""

import asyncio

import pytest

from app.domain.errors import NotFound, Unavailable
from app.domain.position import Position
from app.domain.source import State
from app.protocol import inbox
from app.protocol.commit import commit
from app.services import history, subscribe
from app.services.reader import Reader
from tests.unit.doubles import ADA, CHANNEL, a_success
from tests.unit.services.channel import attach, until
from tests.unit.services.lines import Line

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("soon")]


def nothing_is_left(house):
    return not house.hub._rooms and not house.feed.watched and not house.subscribe._tasks and not house.subscribe._agenda._due


async def test_a_reader_that_is_live_has_no_task_and_no_timer_and_is_closed_after_the_end(house, channel):
    await channel.open()
    line = Line()
    await attach(house, ADA, CHANNEL, None, line)
    assert line.heard == channel.stream.stream
    await until(lambda: not house.subscribe._tasks)
    assert not house.subscribe._agenda._due
    before = asyncio.all_tasks()
    for _ in range(3):
        channel.append()
    await until(lambda: line.heard == channel.stream.stream)
    assert asyncio.all_tasks() == before
    await channel.finish()
    await until(lambda: line.codes)
    assert (line.heard, line.codes) == (channel.stream.stream, [1000])
    await until(lambda: channel.stream.told == channel.head)
    assert nothing_is_left(house)


async def test_who_comes_back_after_the_end_is_closed(house, channel):
    await channel.open()
    await channel.finish()
    line = Line()
    await attach(house, ADA, CHANNEL, Position(channel.stream.epoch, 2), line)
    await until(lambda: line.codes == [1000])
    assert line.heard == []


async def test_who_comes_back_after_the_roll_up_behind_the_end_is_closed_too(house, channel):
    await channel.open(expect=1)
    await channel.finish()
    assert b'"event":"batch"' in channel.stream.stream[-1]
    line = Line()
    await attach(house, ADA, CHANNEL, channel.position, line)
    await until(lambda: line.codes == [1000])
    assert line.heard == []


async def test_what_is_refused_leaves_nothing_behind(house, channel):
    with pytest.raises(NotFound):
        await attach(house, ADA, CHANNEL, None, Line())
    await channel.open()
    for what in ("read", "state"):
        house.ledger.__dict__[what] = unavailable
        with pytest.raises(Unavailable):
            await attach(house, ADA, CHANNEL, None, line := Line())
        assert line.heard == []
        del house.ledger.__dict__[what]
    house.feed.refuses = True
    with pytest.raises(Unavailable):
        await attach(house, ADA, CHANNEL, None, Line())
    assert nothing_is_left(house)


async def unavailable(*_, **__):
    raise Unavailable("redis_unavailable")


@pytest.mark.parametrize("turns", range(8))
async def test_who_gives_up_while_it_is_attached_leaves_nothing_behind(house, channel, turns):
    await channel.open()
    attaching = asyncio.create_task(attach(house, ADA, CHANNEL, None, Line()))
    for _ in range(turns):
        await asyncio.sleep(0)
    if attaching.done():
        attaching.result().detach()
    attaching.cancel()
    await asyncio.gather(attaching, return_exceptions=True)
    await until(lambda: nothing_is_left(house))


async def test_a_client_that_goes_while_its_history_is_told_leaves_nothing_behind(house, channel):
    await channel.open()
    for _ in range(5):
        channel.append()
    line = Line(takes=3)
    reader = await attach(house, ADA, CHANNEL, None, line)
    assert (reader.outlet, len(line.heard)) == (None, 3)
    await until(lambda: channel.stream.told == 3)
    assert nothing_is_left(house)


@pytest.mark.parametrize("how", ["wiped", "another epoch"])
async def test_what_was_told_in_another_life_of_the_channel_does_not_count(house, channel, how):
    await channel.open()
    channel.append()
    if how == "wiped":
        reader = await attach(house, ADA, CHANNEL, None, Line())
        house.ledger.memory.wipe()
        channel.seq = 0
        await channel.open()
        for _ in range(5):
            channel.append(publish=False)
        reader.detach()
    else:
        line = Line()
        line.roomy.clear()
        attaching = asyncio.create_task(attach(house, ADA, CHANNEL, Position("gone", 2), line))
        await asyncio.sleep(0.01)
        attaching.cancel()
    await asyncio.sleep(0.01)
    await until(lambda: house.subscribe._noting is None)
    assert channel.stream.told == 0


async def test_history_is_told_no_faster_than_there_is_room_and_nobody_else_waits_for_that(house, channel):
    await channel.open()
    for _ in range(5):
        channel.append()
    slow, quick = Line(), Line()
    slow.roomy.clear()
    attaching = asyncio.create_task(attach(house, ADA, CHANNEL, None, slow))
    await attach(house, ADA, CHANNEL, None, quick)
    channel.append()
    await until(lambda: quick.heard == channel.stream.stream)
    assert (slow.heard, attaching.done()) == ([], False)
    slow.roomy.set()
    await attaching
    assert slow.heard == quick.heard


async def test_redis_that_goes_away_is_waited_for_and_what_was_missed_is_told(house, channel):
    await channel.open()
    line = Line()
    await attach(house, ADA, CHANNEL, None, line)
    channel.append(publish=False)
    house.ledger.__dict__["read"] = unavailable
    channel.append()
    await asyncio.sleep(0.03)
    assert len(line.heard) == 1
    del house.ledger.__dict__["read"]
    await until(lambda: line.heard == channel.stream.stream)
    await until(lambda: not house.subscribe._tasks)


async def test_a_fault_of_ours_closes_the_socket_and_is_not_silent(house, channel, caplog):
    await channel.open()
    line = Line()
    await attach(house, ADA, CHANNEL, None, line)

    async def broken(*_, **__):
        raise ZeroDivisionError

    house.ledger.__dict__["read"] = broken
    channel.append(publish=False)
    channel.append()
    await until(lambda: line.codes)
    assert line.codes == [1011]
    assert "a reader broke" in caplog.text
    assert nothing_is_left(house)


async def test_a_channel_that_is_kept_open_is_looked_at_ever_more_seldom(house, channel, monkeypatch):
    await channel.open(keep_open=True)
    await channel.finish()
    asked = []
    state = house.ledger.state

    async def counting(*name):
        asked.append(name)
        return await state(*name)

    reader = await attach(house, ADA, CHANNEL, None, Line())
    house.ledger.__dict__["state"] = counting
    pauses = []
    put = house.subscribe._agenda.put
    monkeypatch.setattr(house.subscribe._agenda, "put", lambda reader, seconds: (pauses.append(seconds), put(reader, min(seconds, 0.01))))
    monkeypatch.setattr(subscribe, "_LONGEST_PAUSE_SECONDS", 0.3)
    await until(lambda: len(pauses) >= 6)
    assert pauses[:6] == pytest.approx([0.04, 0.08, 0.16, 0.3, 0.3, 0.3])
    assert len(asked) >= 6
    await channel.open("s-2")
    channel.published()
    await until(lambda: subscribe.LINGER_SECONDS in pauses)
    reader.detach()
    assert not house.subscribe._agenda._due


async def test_progress_does_not_go_back_where_history_was_lost(house, channel):
    await channel.open()
    for _ in range(4):
        channel.append()
    inbox.create(house.inner, ADA, channel.record)
    run = house.ledger.memory.runs[ADA, channel.record.source_uuid]
    run.set(state=State.PROCESSING, progress=60)
    channel.stream.first = 4
    channel.progress(60)
    line = Line()
    await attach(house, ADA, CHANNEL, Position("gone", 1), line)
    told = [(event["event"], event.get("progress")) for event in line.events]
    assert told == [
        ("channel.recovered", None), ("source.snapshot", 3), ("source.processing", 3), ("source.processing", 4), ("source.progress", 60),
    ]  # fmt: skip


async def test_progress_that_was_said_before_a_snapshot_is_not_told_behind_it(house, channel):
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    channel.stream.first = 2
    house.ledger.memory.runs[ADA, channel.record.source_uuid].set(state=State.PROCESSING, progress=60)
    line = Line()
    await attach(house, ADA, CHANNEL, Position("gone", 1), line)
    for percent in (14, 61):  # the first was on its way
        channel.progress(percent)
    await until(lambda: len(line.events) > 2)
    assert [(event["event"], event.get("progress")) for event in line.events] == [
        ("channel.recovered", None), ("source.snapshot", 60), ("source.progress", 61),
    ]  # fmt: skip


async def test_a_snapshot_is_no_younger_than_the_milestones_that_follow_it(house, channel):
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    before = Position("gone", 1)
    house.ledger.memory.channels.clear()
    state, asked = house.ledger.state, []

    async def meanwhile(*name):
        found = await state(*name)
        asked.append(name)
        if len(asked) == 1:  # a milestone of 1 percent is said, and then progress of 60
            await house.ledger.register(ADA, CHANNEL, explicit=True)
            channel.append(publish=False)
            house.ledger.memory.runs[ADA, channel.record.source_uuid].set(state=State.PROCESSING, progress=60)
        return found

    line = Line()
    reader = Reader(house.subscribe, (ADA, CHANNEL), line)
    reader.epoch, reader.offset = before
    house.ledger.__dict__["state"] = meanwhile
    await house.subscribe._history.tell(reader)
    percents = [event["progress"] for event in line.events if "progress" in event]
    assert percents[-1] == 1
    assert percents == sorted(percents)


async def test_a_source_whose_end_follows_has_a_snapshot_too_and_its_end_is_told_once(house, channel):
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    commit(house.inner, ADA, channel.record, result := a_success(channel.record))
    await channel.finish(result)
    line = Line()
    await attach(house, ADA, CHANNEL, Position("gone", 1), line)
    assert [(event["event"], event.get("progress")) for event in line.events] == [
        ("channel.recovered", None), ("source.snapshot", 0), ("source.accepted", None), ("source.succeeded", 100),
    ]  # fmt: skip


async def test_the_latest_progress_waits_where_a_milestone_is_on_its_way(house, channel):
    await channel.open()
    channel.progress(50)
    latest = house.ledger.latest_progress

    async def meanwhile(*name):
        channel.append(publish=False)  # it is published, and did not come yet
        channel.progress(90)
        return await latest(*name)

    house.ledger.__dict__["latest_progress"] = meanwhile
    line = Line()
    await attach(house, ADA, CHANNEL, None, line)
    await until(lambda: len(line.heard) == 2)
    assert [event["event"] for event in line.events] == ["source.accepted", "source.processing"]


async def test_the_latest_progress_is_told_though_a_milestone_was_said_after_it(house, channel):
    await channel.open()
    channel.progress(50)
    channel.append()
    line = Line()
    await attach(house, ADA, CHANNEL, Position(channel.stream.epoch, 2), line)
    assert [event["event"] for event in line.events] == ["source.progress"]


async def test_a_client_that_takes_nothing_of_its_history_is_closed(house, channel, monkeypatch):
    monkeypatch.setattr(history, "_STUCK_SECONDS", 0.02)
    await channel.open()
    channel.append()
    line = Line()
    line.roomy.clear()
    line.waiting = 1
    async with asyncio.timeout(20):
        await attach(house, ADA, CHANNEL, None, line)
    assert (line.codes, line.heard) == ([1013], [])
    assert nothing_is_left(house)


async def test_a_client_that_takes_its_history_slowly_is_not(house, channel, monkeypatch):
    monkeypatch.setattr(history, "_STUCK_SECONDS", 0.02)
    await channel.open()
    line = Line()
    line.roomy.clear()
    line.waiting = 9
    attaching = asyncio.create_task(attach(house, ADA, CHANNEL, None, line))
    for _ in range(8):
        await asyncio.sleep(0.01)
        line.waiting -= 1
    assert not attaching.done()
    line.roomy.set()
    await attaching
    assert (line.codes, line.heard) == ([], channel.stream.stream)


@pytest.mark.parametrize("how", ["a hole", "the end", "another epoch"])
async def test_a_stream_that_does_not_have_what_its_head_says_is_not_read_for_ever(house, channel, caplog, how):
    await channel.open()
    for _ in range(3):
        channel.append()
    read = house.ledger.read

    async def broken(*name, after, limit=500):
        page = await read(*name, after=after, limit=limit)
        if how == "another epoch":
            return [(offset, body.replace(b'{"event-id":"', b'{"event-id":"f')) for offset, body in page]
        return [each for each in page if each[0] != (2 if how == "a hole" else 4)]

    house.ledger.__dict__["read"] = broken
    line = Line()
    async with asyncio.timeout(20):
        await attach(house, ADA, CHANNEL, None, line)
    assert [(event["event"], event.get("event-id")) for event in line.events] == [("channel.recovered", str(channel.position))]
    assert "does not have what its head says" in caplog.text
    channel.append()
    await until(lambda: line.heard[-1] == channel.stream.stream[-1])


async def test_a_stream_that_is_taken_slowly_goes_on_from_the_history(house, channel):
    await channel.open()
    async with asyncio.timeout(20):
        messages = house.subscribe(ADA, CHANNEL)
        heard = [await anext(messages)]
        for _ in range(500):
            channel.append()
        await until(lambda: len(house.subscribe._tasks))
        while len(heard) < 501:
            heard.append(await anext(messages))
        await messages.aclose()
    assert heard == channel.stream.stream
    await until(lambda: nothing_is_left(house))
