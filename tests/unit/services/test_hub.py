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
from app.services.reader import UNKNOWN, Reader
from tests.ledgers import progress, record
from tests.unit.doubles import ADA, CHANNEL, EVE, Feed, House, Ledger
from tests.unit.services.channel import until
from tests.unit.services.lines import Line, a_reader

pytestmark = pytest.mark.anyio


async def test_many_readers_of_a_channel_cost_one_subscription(house, channel):
    await channel.open()
    watched = []
    watch = house.feed.watch
    house.feed.watch = lambda *args: (watched.append(args), watch(*args))[1]
    readers = [a_reader() for _ in range(10)]
    await asyncio.gather(*(house.hub.join(reader) for reader in readers))
    assert watched == [(ADA, CHANNEL)]
    assert len({id(reader.channel) for reader in readers}) == 1, "one name for all"
    for reader in readers[:-1]:
        house.hub.leave(reader)
        assert house.feed.watched
    house.hub.leave(readers[-1])
    assert not house.feed.watched


async def test_channels_of_one_name_and_two_owners_do_not_meet(house, channel):
    mine, other = a_reader(at=("e", 0)), a_reader(EVE, at=("e", 0))
    await house.hub.join(mine)
    await house.hub.join(other)
    house.feed.publish(ADA, CHANNEL, b"p " + (body := progress(record(), 5).to_json()))
    await until(lambda: mine.outlet.heard == [body])
    assert other.outlet.heard == []


async def test_what_comes_for_a_channel_that_nobody_reads_any_more_is_dropped(house):
    house.hub._tell(ADA, CHANNEL, b"m 1 e {}")
    assert house.hub._rooms == {}


async def test_a_reader_that_goes_while_the_others_are_told_disturbs_nobody(house):
    readers = [a_reader(at=("e", 0), line=Line(takes=number % 2)) for number in range(6)]
    for reader in readers:
        reader._keeper.left = lambda reader, _: house.hub.leave(reader)
        await house.hub.join(reader)
    for percent in (5, 6):
        house.feed.publish(ADA, CHANNEL, b"p " + progress(record(), percent).to_json())
    await until(lambda: not house.feed.watched)
    assert house.hub._rooms == {}


async def test_a_reader_that_breaks_is_closed_and_the_others_are_told(house, channel, caplog):
    class Broken(Line):
        def send(self, message):
            raise RuntimeError("broken")

    before, broken, behind = readers = [a_reader(at=("e", 0), line=line) for line in (Line(), Broken(), Line())]
    lines = [reader.outlet for reader in readers]
    for reader in readers:
        await house.hub.join(reader)
    house.feed.publish(ADA, CHANNEL, b"p " + (body := progress(record(), 5).to_json()))
    await until(lambda: lines[1].codes)
    assert (lines[0].heard, lines[1].codes, lines[2].heard) == ([body], [1011], [body])
    assert [reader.outlet is None for reader in (before, broken, behind)] == [False, True, False]
    assert "a reader broke" in caplog.text


async def test_a_join_does_not_wait_for_that_of_another_channel(house):
    stuck, watch = asyncio.Event(), house.feed.watch

    async def watching(owner, channel):
        if channel == CHANNEL:
            await stuck.wait()
        await watch(owner, channel)

    house.feed.watch = watching
    slow = asyncio.create_task(house.hub.join(a_reader()))
    await asyncio.wait_for(house.hub.join(a_reader(channel=ChannelId("w-2"))), 5)
    assert not slow.done()
    stuck.set()
    await asyncio.wait_for(slow, 5)


async def test_all_who_wait_for_a_subscription_that_fails_are_told_and_the_next_one_tries_anew(house):
    house.feed.refuses = True
    before = REGISTRY.get_sample_value("headrace_listeners")
    answers = await asyncio.gather(*(house.hub.join(a_reader()) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert REGISTRY.get_sample_value("headrace_listeners") == before
    house.feed.refuses = False
    reader = a_reader()
    await house.hub.join(reader)
    assert house.feed.watched == {(ADA, CHANNEL)}
    house.hub.leave(reader)
    assert (house.hub._rooms, house.hub._opening) == ({}, {})


async def test_who_gives_up_waiting_for_a_subscription_leaves_none_behind(house):
    joining = asyncio.create_task(house.hub.join(a_reader()))
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    await until(lambda: not house.hub._rooms)
    assert house.feed.watched == set()


async def test_readers_are_counted(house):
    def count():
        return REGISTRY.get_sample_value("headrace_listeners"), REGISTRY.get_sample_value("headrace_joins_total")

    open_before, joins_before = count()
    readers = [a_reader() for _ in range(3)]
    for number, reader in enumerate(readers, 1):
        await house.hub.join(reader)
        assert count() == (open_before + number, joins_before + number)
    for left, reader in enumerate(readers, 1):
        for _ in range(2):
            house.hub.leave(reader)
            assert count() == (open_before + 3 - left, joins_before + 3)


async def test_one_sweep_tells_those_whose_channel_has_moved_on_and_nobody_else(house, channel, monkeypatch):
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(hub, "_HEADS_AT_ONCE", 2)
    asked = []
    heads = house.ledger.heads

    async def counting(channels):
        asked.append(list(channels))
        return await heads(channels)

    house.ledger.heads = counting
    await channel.open()
    at, names = (channel.stream.epoch, channel.head), [ChannelId(f"w-{number}") for number in range(2, 6)]
    moved, busy, unregistered = a_reader(at=at), a_reader(), [a_reader(channel=name, at=UNKNOWN) for name in names]
    for reader in (moved, busy, *unregistered):
        await house.hub.join(reader)
    channel.append(publish=False)
    async with House() as swept:
        swept.hub._rooms, swept.hub._channels = house.hub._rooms, house.ledger
        await until(lambda: moved._keeper.behind)
        assert not any(reader._keeper.behind for reader in unregistered)
        assert (busy.held.missed, busy._keeper.behind) == (False, []), "it is reading"
        await until(lambda: len(asked) >= 3)
    assert {(ADA, name) for name in (CHANNEL, *names)} == {name for some in asked[:3] for name in some}
    assert [len(some) for some in asked[:3]] == [2, 2, 1]


async def test_a_sweep_that_redis_does_not_answer_is_not_the_last(house, channel, monkeypatch):
    await channel.open()
    reader = a_reader(at=(channel.stream.epoch, 0))
    await house.hub.join(reader)
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.01)
    house.ledger.away = True
    async with House(ledger=house.ledger) as swept:
        swept.hub._rooms = house.hub._rooms
        await asyncio.sleep(0.03)
        assert not reader._keeper.behind
        house.ledger.away = False
        await until(lambda: reader._keeper.behind)


async def test_what_may_have_been_missed_is_looked_for_at_once(house, channel, monkeypatch):
    monkeypatch.setattr(hub, "_AGAIN_SECONDS", 0.005)
    await channel.open()
    behind, abreast, reading = a_reader(at=(channel.stream.epoch, 0)), a_reader(at=(channel.stream.epoch, 1)), a_reader()
    for reader in (behind, abreast, reading):
        await house.hub.join(reader)
    house.ledger.away = True
    house.feed.lose()
    await until(lambda: reading.held.missed)
    await asyncio.sleep(0.02)
    assert behind._keeper.behind == [], "Redis does not answer"
    house.ledger.away = False
    await until(lambda: behind._keeper.behind)
    assert abreast._keeper.behind == []


async def test_no_progress_overtakes_a_milestone(house, channel):
    await channel.open()
    behind, abreast = a_reader(at=(channel.stream.epoch, 0)), a_reader(at=(channel.stream.epoch, 1))
    for reader in (behind, abreast):
        await house.hub.join(reader)
    channel.progress(5)
    await until(lambda: abreast.outlet.heard)
    assert (behind.outlet.heard, behind._keeper.behind, abreast._keeper.behind) == ([], [behind], [])


async def test_after_a_restart_of_redis_all_readers_look_for_ends_once(house, channel):
    await channel.open()
    reader = a_reader(at=channel.position)
    await house.hub.join(reader)
    house.feed.lose()
    await asyncio.sleep(0.03)
    assert (reader._keeper.looking, reader.told) == ([], None), "a link that was lost is no restart"
    house.ledger.memory.restart()
    house.feed.lose()
    await until(lambda: reader._keeper.looking)
    assert reader.told.looks
    house.feed.lose()
    await asyncio.sleep(0.03)
    assert (reader._keeper.looking, reader._keeper.behind) == ([reader], [])


MOVES = st.lists(st.tuples(st.sampled_from(["join", "leave", "cancel", "go", "turn", "refuse", "serve"]), st.integers(0, 1), st.integers(0, 5)), max_size=40)


@settings(max_examples=300)
@given(MOVES)
def test_whoever_joins_and_leaves_when_a_listener_is_never_on_an_unsubscribed_channel(moves):
    async def scenario():
        feed = Feed()
        tested = Hub(feed, Ledger())
        names = [ChannelId("w-1"), ChannelId("w-2")]
        joining: list[tuple[Reader, asyncio.Task]] = []
        joined: list[Reader] = []
        gone: set[Reader] = set()

        def settle():
            for pair in [pair for pair in joining if pair[1].done()]:
                joining.remove(pair)
                if not pair[1].cancelled() and pair[1].exception() is None and pair[0] not in gone:
                    joined.append(pair[0])
            assert {reader.channel for reader in joined} <= feed.watched

        for move, which, turns in moves:
            if move == "join":
                reader = a_reader(channel=names[which])
                joining.append((reader, asyncio.create_task(tested.join(reader))))
            elif move == "leave" and joined:
                tested.leave(joined.pop(turns % len(joined)))
            elif move == "go" and joining:
                reader = joining[turns % len(joining)][0]
                if reader in tested._in(reader.channel):  # its client has gone meanwhile
                    gone.add(reader)
                    tested.leave(reader)
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
        assert feed.watched == {reader.channel for reader in joined}
        for reader in joined:
            tested.leave(reader)
        assert (feed.watched, tested._rooms, tested._opening) == (set(), {}, {})

    asyncio.run(scenario())
