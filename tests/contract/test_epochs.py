"""A server that ends and comes back, with all that was written or without the last of it: over memory and Redis."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.ids import ChannelId, SourceId
from app.domain.position import Position
from app.domain.source import State
from tests.ledgers import OWNER, WS, events, milestone, record, success, take

RUN = record()


@pytest.fixture
def tell(ledger):
    """Milestones of RUN, by their seq."""
    ledger.register(OWNER, WS, explicit=True)
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)

    def say(*seqs):
        for seq in seqs:
            assert ledger.append(OWNER, RUN, milestone(RUN, str(seq)), fence=fence, attempt=1, seq=seq, stage=None)
        return ledger.state(OWNER, WS)

    return say


def test_after_a_lost_tail_a_new_epoch_begins_behind_the_head_and_offsets_go_on(ledger, tell):
    before = tell(1, 2)
    written = ledger.written()
    told = tell(3, 4).last
    ledger.restart(written)
    state = ledger.state(OWNER, WS)
    assert (state.last, state.restarted, state.past) == (before.last, True, ()), "nothing was said yet"
    assert not state.goes_on_after(told)
    assert ledger.heads([(OWNER, WS)]).of == [before.last]
    after = tell(5, 6)
    assert after.epoch != before.epoch
    assert (after.head, after.past, after.restarted) == (5, (before.last,), True)
    assert [event.get("message") for event in events(ledger)] == [None, "1", "2", "5", "6"]
    assert after.goes_on_after(before.last)
    assert not after.goes_on_after(told), "its offset is another message's now"


def test_a_server_that_goes_on_keeps_the_epoch(ledger, tell):
    before = tell(1)
    after = tell(2)
    assert (after.epoch, after.past, after.restarted, before.restarted) == (before.epoch, (), False, False)


def test_a_channel_that_said_nothing_before_the_restart_has_a_past_too(ledger):
    ledger.register(OWNER, WS, explicit=True)
    written, before = ledger.written(), ledger.state(OWNER, WS)
    ledger.accept(OWNER, RUN)
    lost = ledger.state(OWNER, WS).last
    ledger.restart(written)
    ledger.accept(OWNER, RUN)
    after = ledger.state(OWNER, WS)
    assert (after.head, after.past) == (1, (before.last,))
    assert lost.offset == after.head
    assert not after.goes_on_after(lost)
    assert after.goes_on_after(before.last)


def test_lives_in_which_nothing_was_said_begin_no_epoch(ledger, tell):
    tell(1)
    for _ in range(3):
        ledger.restart(ledger.written())
    assert len(tell(2).past) == 1
    ledger.restart(ledger.written())
    assert [end.offset for end in tell(3).past] == [2, 3]


def test_an_epoch_that_is_forgotten_takes_its_messages_with_it(ledger, tell):
    tell(1, 2)
    ends = []
    for seq in range(3, 20):
        ledger.restart(ledger.written())
        ends.append(ledger.state(OWNER, WS).last)
        tell(seq)
    state = ledger.state(OWNER, WS)
    assert (state.past, state.first, state.head) == (tuple(ends[1:]), 4, 20)
    assert not state.goes_on_after(ends[0])
    assert all(state.goes_on_after(end) for end in ends[1:])
    assert [offset for offset, _ in ledger.read(OWNER, WS, after=state.first - 1)] == list(range(4, 21))


def test_what_was_told_of_a_lost_tail_does_not_count_and_what_was_told_before_does(ledger, tell):
    tell(1, 2)
    written = ledger.written()
    lost = tell(3, 4).last
    ledger.restart(written)
    tell(5, 6, 7)
    for last, mark in ((lost, 0), (Position("unknown", 2), 0), (Position(lost.epoch, 2), 2), (ledger.state(OWNER, WS).last, 6)):
        ledger.told(OWNER, WS, last)
        ledger.register(OWNER, WS, explicit=True)
        assert ledger.state(OWNER, WS).mark == mark


def test_the_servers_life_is_another_after_a_restart_only(open_ledger):
    ledger = open_ledger("memory-async")
    life = ledger.heads([]).life
    ledger.wipe()
    assert ledger.heads([]).life == life
    ledger.restart(ledger.written())
    assert ledger.heads([]).life != life


def test_the_ends_that_a_channel_said_are_known(ledger, tell):
    tell(1)
    other = record(SourceId("s-2"))
    ledger.accept(OWNER, other)
    assert ledger.ends(OWNER, WS) == ledger.ends(OWNER, ChannelId("none")) == set()
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert ledger.ends(OWNER, WS) == {("s-1", 1)}
    again = record(run=2)
    ledger.accept(OWNER, again)
    assert ledger.ends(OWNER, WS) == set()
    ledger.finish(OWNER, again, success(again), state=State.SUCCEEDED)
    assert ledger.ends(OWNER, WS) == {("s-1", 2)}


def test_when_a_channel_began_is_known(ledger, tell):
    began = tell(1).began
    assert abs(datetime.now(UTC) - began) < timedelta(minutes=1)
    ledger.restart(ledger.written())
    assert tell(2).began == began
