"""Readers of a channel whose Redis came back, with all that it had or without the last of it."""

import pytest

from app.domain.layout import marker_key
from app.domain.position import Position
from app.domain.results import acceptance
from app.protocol import inbox
from app.protocol.commit import commit
from tests.unit.doubles import ADA, CHANNEL, NOW, a_record, a_success
from tests.unit.services.channel import attach, until
from tests.unit.services.lines import Line

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("soon")]


@pytest.fixture
async def opened(house, channel):
    await channel.open()
    inbox.create(house.inner, ADA, channel.record)
    return channel


async def attached(house, after=None):
    line = Line()
    await attach(house, ADA, CHANNEL, after, line)
    await until(lambda: house.hub._life)  # asked for when the live link is made
    return line


def kinds(line):
    return [event["event"].partition(".")[2] for event in line.events]


def restart(house, written=None):
    house.ledger.memory.restart(written)
    house.feed.lose()


async def test_who_was_told_nothing_that_was_lost_hears_of_no_loss(house, opened):
    opened.append()
    line = await attached(house)
    written = house.ledger.memory.written()
    opened.append(publish=False)
    restart(house, written)
    for _ in range(2):
        opened.append()
    await until(lambda: line.heard == opened.stream.stream)
    epochs = [event["event-id"].partition(":")[0] for event in line.events]
    assert (len(set(epochs)), epochs[:2], len(epochs)) == (2, [epochs[0]] * 2, 4)


async def test_who_was_told_what_was_lost_is_told_so_and_then_what_there_is(house, opened):
    opened.append()
    written = house.ledger.memory.written()
    opened.append()
    line = await attached(house)
    assert len(line.heard) == 3
    restart(house, written)
    await until(lambda: len(line.heard) == 3 + 2 + 2)
    opened.append()
    await until(lambda: line.heard[-1] == opened.stream.stream[-1])
    assert kinds(line)[3:] == ["recovered", "snapshot", "accepted", "processing", "processing"]
    assert line.heard[5:] == opened.stream.stream


async def test_offsets_that_come_again_are_told_to_who_had_them_before(house, opened):
    """Also when the head is past them before anybody looked."""
    opened.append()
    written = house.ledger.memory.written()
    opened.append()
    line = await attached(house)
    house.ledger.memory.restart(written)
    for _ in range(2):
        opened.append()
    await until(lambda: line.heard[-3:] == opened.stream.stream[-3:])
    assert "recovered" in kinds(line)


async def test_a_client_that_was_away_meanwhile_is_told_that_its_position_is_lost(house, opened):
    opened.append()
    written = house.ledger.memory.written()
    opened.append()
    kept, lost = Position(opened.stream.epoch, 2), opened.position
    restart(house, written)
    for _ in range(3):
        opened.append()
    assert kinds(await attached(house, kept)) == ["processing"] * 3
    assert kinds(await attached(house, lost)) == ["recovered", "snapshot", "accepted", *["processing"] * 4]


@pytest.mark.parametrize("joins", ["before the end", "behind the end"])
async def test_a_run_whose_end_was_told_and_lost_is_passed_over_when_it_comes_again(house, opened, joins):
    other = a_record("s-2")
    await house.ledger.accept(ADA, other)
    written = house.ledger.memory.written()
    line = await attached(house) if joins == "before the end" else None
    await opened.finish()
    line = line or await attached(house, Position(opened.stream.epoch, opened.head - 1))  # behind it is the roll-up
    await until(lambda: line.heard[-1:] == opened.stream.stream[-1:])
    before = len(line.events)
    restart(house, written)
    opened.append()
    await opened.finish()
    opened.record = other
    opened.append()
    await until(lambda: line.heard[-1] == opened.stream.stream[-1])
    after = [event for event in line.events[before:] if "event-id" in event and event["event"] != "channel.recovered"]
    assert {event.get("source-uuid") for event in after} == {"s-2", None}
    assert [event["event"] for event in after][-2:] == ["batch", "source.processing"]


async def ended(house, channel, *, committed_at=None):
    """Ends without a word that the channel has (any more)."""
    result = a_success(channel.record, committed_at=committed_at or channel.stream.began)
    house.inner.put(marker_key(CHANNEL, ADA, channel.record.source_uuid), b"")
    commit(house.inner, ADA, acceptance(result), result)
    inbox.remove(house.inner, ADA, channel.record)


@pytest.mark.parametrize("joins", ["before", "after"])
async def test_an_end_that_nobody_will_say_again_is_shown_to_who_waits_for_it(house, channel, joins):
    await house.ledger.register(ADA, CHANNEL, explicit=True)
    written = house.ledger.memory.written()
    line = await attached(house) if joins == "before" else None
    await house.ledger.accept(ADA, channel.record)  # and all that follows is lost, with its publication
    await ended(house, channel)
    restart(house, written)
    line = line or await attached(house)
    await until(lambda: line.codes)
    assert ([(event["event"], event["state"]) for event in line.events], line.codes) == ([("source.snapshot", "succeeded")], [1000])


@pytest.mark.parametrize("why", ["said", "of an earlier life of the name"])
async def test_what_ended_before_the_reader_came_is_not_shown_and_closes_nothing(house, opened, why):
    if why == "said":
        await opened.finish()
        house.ledger.memory.channels[ADA, CHANNEL].mark = opened.head
    await ended(house, opened, committed_at=None if why == "said" else NOW)
    if why != "said":
        house.ledger.memory.wipe()
        await house.ledger.register(ADA, CHANNEL, explicit=True)
    line = await attached(house)
    restart(house)
    await until(lambda: house.hub._life == house.ledger.memory.life)
    await until(lambda: not house.subscribe._agenda._due and not house.subscribe._tasks)
    assert (line.heard, line.codes) == ([], [])
