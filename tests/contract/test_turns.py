"""Whose turn it is: how many runs of one owner are handed out at once in a lane, and who comes next; over memory and Redis."""

import pytest

from app.adapters.redis.calls import Terms
from app.domain.ids import SourceId
from app.domain.jobs import Lane
from app.domain.source import State
from app.ports import Claim, Due
from tests.ledgers import OWNER, STRANGER, failure, record, state_of, success, take

TERMS = Terms(turns=2, grace_seconds=100)
ONE, TWO, THREE, FOUR, FIVE = RUNS = [record(SourceId(f"s-{n}")) for n in range(1, 6)]
SLOW = record(SourceId("slow"), size=None)


@pytest.fixture
def ledger(make_ledger):
    return make_ledger(TERMS)


@pytest.fixture
def backlog(ledger):
    """Five runs of one owner, of which two are handed out."""
    for run in RUNS:
        assert ledger.accept(OWNER, run)
    return ledger


def sent(ledger, owner=OWNER):
    return [due.source for due in ledger.queued() if due.owner == owner]


def end(ledger, run, owner=OWNER):
    ledger.finish(owner, run, success(run), state=State.SUCCEEDED)


def test_no_more_are_handed_out_than_the_owner_has_turns_and_the_others_wait(backlog):
    assert sent(backlog) == ["s-1", "s-2"]
    assert [state_of(backlog, source=run.source_uuid) for run in RUNS] == [State.ACCEPTED] * 5
    assert backlog.queueing() == [(OWNER, Lane.FAST)]


def test_each_owner_has_turns_of_its_own_and_so_has_each_lane(backlog):
    backlog.accept(STRANGER, ONE)
    backlog.accept(OWNER, SLOW)
    assert sent(backlog, STRANGER) == ["s-1"]
    assert sent(backlog) == ["s-1", "s-2", "slow"]


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled", "forgotten"])
def test_every_end_gives_the_turn_to_whoever_waited_longest(backlog, how):
    if how == "forgotten":
        backlog.forget(OWNER, ONE.source_uuid)
    else:
        backlog.finish(OWNER, ONE, failure(ONE), state=State(how))
    assert sent(backlog) == ["s-1", "s-2", "s-3"]
    end(backlog, THREE)
    end(backlog, TWO)
    assert sent(backlog) == ["s-1", "s-2", "s-3", "s-4", "s-5"]
    assert backlog.queueing() == []


def test_an_end_that_is_said_twice_gives_one_turn(backlog):
    for _ in range(2):
        end(backlog, ONE)
    assert sent(backlog) == ["s-1", "s-2", "s-3"]


def test_what_ends_or_is_forgotten_while_it_waits_is_not_handed_out(backlog):
    end(backlog, THREE)
    backlog.forget(OWNER, FOUR.source_uuid)
    end(backlog, ONE)
    assert sent(backlog) == ["s-1", "s-2", "s-5"]


def test_a_turn_is_kept_over_a_release_and_over_a_lost_worker(backlog):
    fence, _ = take(backlog, ONE, worker="w1")
    backlog.release(OWNER, ONE, fence=fence)
    take(backlog, TWO, worker="w1")
    take(backlog, TWO, worker="w2", dead_worker="w1")
    assert sent(backlog) == ["s-1", "s-2"]


def test_what_waits_is_never_due_whatever_time_passes(backlog):
    backlog.pass_time(10_000)
    assert {due.source for due in backlog.due(limit=99)} == {"s-1", "s-2"}
    assert not backlog.requeue(Due(OWNER, THREE.source_uuid, 1))
    assert sent(backlog) == ["s-1", "s-2"]


def test_a_hint_that_comes_before_its_turn_is_answered_that_it_waits(backlog):
    before = backlog.record(OWNER, THREE.source_uuid)
    assert take(backlog, THREE)[1] == Claim("waits")
    assert (backlog.record(OWNER, THREE.source_uuid), backlog.running()) == (before, [])
    end(backlog, ONE)
    assert sent(backlog) == ["s-1", "s-2", "s-3"], "it kept its place, and its message is sent when it has its turn"
    assert take(backlog, THREE)[1].kind == "ok"


def test_an_unknown_run_waits_too_when_no_turn_is_left_and_is_handed_out_later(ledger):
    """After a wipe, when a message was on its way."""
    for run in (ONE, TWO):
        assert take(ledger, run)[1].kind == "ok"
    assert take(ledger, THREE)[1] == Claim("waits")
    assert state_of(ledger, source=THREE.source_uuid) is State.ACCEPTED
    end(ledger, TWO)
    assert sent(ledger) == ["s-3"]
    assert take(ledger, THREE)[1] == Claim("ok", attempt=1, worker="w")


def test_a_hint_takes_a_turn_that_is_left(ledger):
    ledger.accept(OWNER, ONE)
    assert take(ledger, TWO)[1].kind == "ok"
    ledger.accept(OWNER, THREE)
    assert sent(ledger) == ["s-1"]


def test_a_beat_after_a_wipe_holds_its_turn(ledger):
    fence, _ = take(ledger, ONE)
    ledger.wipe()
    assert ledger.beat(OWNER, ONE, fence=fence, worker="w", attempt=1)
    for run in (TWO, THREE):
        ledger.accept(OWNER, run)
    assert sent(ledger) == ["s-2"]


def test_a_later_run_in_another_lane_leaves_the_turn_of_the_first(ledger):
    for run in (ONE, TWO, THREE):
        ledger.accept(OWNER, run)
    ledger.accept(OWNER, record(ONE.source_uuid, run=2, size=None))  # the end of the first was missed
    assert ledger.queued() == [Due(OWNER, run.source_uuid, 1) for run in (ONE, TWO, THREE)] + [Due(OWNER, ONE.source_uuid, 2, Lane.SLOW)]


def test_with_more_turns_than_before_those_who_wait_are_woken(open_ledger):
    few = open_ledger("redis", TERMS)
    for run in RUNS:
        few.accept(OWNER, run)
    more = open_ledger("redis", Terms(turns=4))
    assert more.wake(OWNER, Lane.FAST) == 2
    assert sent(more) == ["s-1", "s-2", "s-3", "s-4"]


def test_a_turn_whose_end_was_lost_is_found_and_given_on(open_ledger):
    ledger = open_ledger("redis", TERMS)
    for run in (ONE, TWO, THREE):
        ledger.accept(OWNER, run)
    assert ledger.wake(OWNER, Lane.FAST) == 0
    ledger.raw.delete(ledger.keys.source(OWNER, ONE.source_uuid))
    assert ledger.wake(OWNER, Lane.FAST) == 1
    assert sent(ledger) == ["s-1", "s-2", "s-3"]


def test_nothing_of_the_turns_stays_when_all_have_ended(open_ledger):
    ledger = open_ledger("redis", TERMS)
    for run in RUNS:
        ledger.accept(OWNER, run)
    for run in RUNS:
        ledger.pop()
        end(ledger, run)
    assert [name for name in ledger.names() if ledger.raw.ttl(name) < 0] == []


# ------------------------------------------------------------------------------------------------ place


def test_the_place_counts_those_in_the_queue_and_those_that_wait(backlog):
    backlog.accept(STRANGER, ONE)
    assert [backlog.place(OWNER, run.source_uuid) for run in RUNS] == [1, 2, 4, 5, 6]
    assert backlog.place(STRANGER, ONE.source_uuid) == 3


def test_the_place_falls_as_messages_are_taken_and_turns_are_given(backlog):
    backlog.pop()
    take(backlog, ONE)
    assert [backlog.place(OWNER, run.source_uuid) for run in RUNS] == [None, 1, 2, 3, 4]
    end(backlog, ONE)
    assert [backlog.place(OWNER, run.source_uuid) for run in RUNS] == [None, 1, 2, 3, 4]


def test_who_is_at_work_has_ended_or_is_not_known_has_no_place(backlog):
    take(backlog, ONE)
    end(backlog, TWO)
    for source in (ONE.source_uuid, TWO.source_uuid, SourceId("never")):
        assert backlog.place(OWNER, source) is None


def test_the_backlog_is_what_is_open_in_all_lanes_whoever_has_a_turn(backlog):
    backlog.accept(OWNER, SLOW)
    backlog.accept(STRANGER, ONE)
    assert (backlog.backlog(OWNER), backlog.backlog(STRANGER)) == (6, 1)
    take(backlog, ONE)
    assert backlog.backlog(OWNER) == 6
    end(backlog, ONE)
    backlog.forget(OWNER, FIVE.source_uuid)
    assert backlog.backlog(OWNER) == 4
    for run in (TWO, THREE, FOUR, SLOW):
        end(backlog, run)
    assert backlog.backlog(OWNER) == 0
