"""A source's run through the ledger, sentence by sentence of ports.Ledger; over memory and Redis, through the faces of worker and API."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.redis.calls import Terms
from app.domain.ids import SourceId, UploadId, new_fence
from app.domain.source import State
from app.domain.stages import Stage
from app.ports import Claim, Due
from tests.ledgers import OWNER, SOURCE, STRANGER, WS, events, failure, milestone, progress, record, state_of, success, take, told, whats
from tests.servers import eventually

RUN = record()
AGAIN = record(run=2)
OTHER = record(SourceId("s-2"))
DUE = Due(OWNER, SOURCE, 1)
SHORT = Terms(lease_seconds=0.05, grace_seconds=0.05)


# ------------------------------------------------------------------------------------------------ accept


def test_an_accepted_run_has_record_event_message_and_bare_name_at_once(ledger):
    assert ledger.accept(OWNER, RUN) is True
    found = ledger.record(OWNER, SOURCE)
    assert (found.run, found.state, found.channel, found.attempt, found.stage, found.progress) == (1, State.ACCEPTED, WS, 0, None, 0)
    assert [(e["event"], e["source-uuid"], e["run"]) for e in events(ledger)] == [("source.accepted", SOURCE, 1)]
    assert ledger.queued() == [DUE]
    assert ledger.resolve(WS) == OWNER
    assert ledger.state(OWNER, WS).busy == 1
    assert whats(ledger) == [("accepted", 0)]


def test_a_run_is_accepted_once(ledger):
    assert ledger.accept(OWNER, RUN)
    assert ledger.accept(OWNER, RUN) is False
    assert (told(ledger), ledger.queued(), whats(ledger)) == (["accepted"], [DUE], [("accepted", 0)])


def test_among_many_at_once_one_accepts(make_ledger):
    ledger = make_ledger()
    accept = next(face for face in ledger._faces if hasattr(face, "lead")).accept  # the synchronous face: it is the one that threads share
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: accept(OWNER, RUN), range(32))) == 1
    assert ledger.queued() == [DUE]


def test_a_later_run_opens_after_the_end_of_the_first_and_the_first_is_then_refused(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=Stage.STORE)
    ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED)
    assert ledger.accept(OWNER, AGAIN) is True
    assert ledger.accept(OWNER, RUN) is False
    found = ledger.record(OWNER, SOURCE)
    assert (found.run, found.state, found.attempt, found.stage) == (2, State.ACCEPTED, 0, None)
    assert told(ledger) == ["accepted", "processing", "failed", "accepted"]
    assert ledger.queued() == [DUE, Due(OWNER, SOURCE, 2)]
    assert (whats(ledger, 1), whats(ledger, 2)) == ([], [("accepted", 0)])


def test_a_later_run_replaces_one_whose_end_the_ledger_missed(ledger):
    """A server that lost the tail of its log may have."""
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    assert ledger.accept(OWNER, AGAIN) is True
    assert (ledger.running(), state_of(ledger)) == ([], State.ACCEPTED)
    assert take(ledger, AGAIN)[1] == Claim("ok", attempt=1, worker="w")


def test_accepting_ends_the_receiving_even_when_the_run_is_known(ledger):
    ledger.accept(OWNER, RUN)
    for number, source in enumerate([RUN, record(SourceId("s-2"))]):
        ledger.receiving(OWNER, WS, UploadId("up"), seconds=60)
        assert ledger.state(OWNER, WS).busy == 2
        assert ledger.accept(OWNER, source, receiving=UploadId("up")) is bool(number)
        assert ledger.state(OWNER, WS).busy == 1 + number


def test_accepting_leaves_a_bare_name_with_its_owner(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    assert ledger.accept(OWNER, RUN)
    assert ledger.resolve(WS) == STRANGER
    assert told(ledger) == ["accepted"]
    assert told(ledger, STRANGER) == []


# ------------------------------------------------------------------------------------------------ claim


def test_a_claim_takes_the_run(ledger):
    ledger.accept(OWNER, RUN)
    _, claim = take(ledger, worker="w1")
    assert claim == Claim("ok", attempt=1, worker="w1")
    assert state_of(ledger) == State.PROCESSING
    assert ledger.running() == [(DUE, "w1")]
    assert whats(ledger) == [("accepted", 0), ("claimed", 1)]


def test_a_lease_that_lives_is_respected(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    _, claim = take(ledger, worker="w2")
    assert (claim.kind, claim.worker) == ("busy", "w1")
    _, claim = take(ledger, worker="w2", dead_worker="w3")
    assert (claim.kind, claim.worker) == ("busy", "w1")
    assert ledger.running() == [(DUE, "w1")]
    assert whats(ledger) == [("accepted", 0), ("claimed", 1)]


def test_the_lease_of_a_dead_worker_is_taken_and_the_loss_is_said(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    _, claim = take(ledger, worker="w2", dead_worker="w1")
    assert claim == Claim("ok", attempt=2, worker="w2", lost=True)
    assert whats(ledger) == [("accepted", 0), ("claimed", 1), ("worker lost", 1), ("claimed", 2)]


def test_a_lease_that_ran_out_is_taken_and_the_loss_is_said(make_ledger):
    ledger = make_ledger(SHORT)
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    claim = eventually(lambda: (found := take(ledger, worker="w2")[1]).kind == "ok" and found)
    assert (claim.attempt, claim.lost) == (2, True)


def test_a_claim_that_is_repeated_gets_the_same_answer(ledger):
    """A client library does that when the first answer did not arrive."""
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    fence, claim = take(ledger, worker="w2", dead_worker="w1")
    assert ledger.claim(OWNER, RUN, fence=fence, worker="w2", dead_worker="w1") == claim
    assert ledger.claim(OWNER, RUN, fence=fence, worker="w2") == claim
    assert whats(ledger)[-2:] == [("worker lost", 1), ("claimed", 2)]


def test_over_the_cap_of_attempts_a_claim_is_spent_and_holds_all_the_same(make_ledger):
    ledger = make_ledger(Terms(attempts=2))
    ledger.accept(OWNER, RUN)
    kinds = [take(ledger, worker=f"w{n}", dead_worker=f"w{n - 1}")[1].kind for n in range(1, 4)]
    assert kinds == ["ok", "ok", "spent"]
    assert take(ledger)[1].kind == "busy"


def test_a_claim_that_is_spent_says_by_what(make_ledger):
    ledger = make_ledger(Terms(attempts=2))
    ledger.accept(OWNER, RUN)
    fence, claim = take(ledger, worker="w1")
    assert claim.code == ""
    assert ledger.release(OWNER, RUN, fence=fence, overran=True)
    fence, claim = take(ledger, worker="w1")
    assert (claim.kind, claim.attempt, claim.code) == ("ok", 1, "")
    assert ledger.release(OWNER, RUN, fence=fence, overran=True)
    assert ledger.release(OWNER, RUN, fence=fence, overran=True) is False, "repeated, it counts nothing"
    fence, claim = take(ledger, worker="w1")
    assert (claim.kind, claim.attempt, claim.code) == ("spent", 1, "timeout")
    assert ledger.claim(OWNER, RUN, fence=fence, worker="w1") == claim
    assert [take(ledger, worker=f"w{n}", dead_worker=f"w{n - 1}")[1].code for n in (2, 3)] == ["timeout", "crash"]
    assert ("took too long", 1) in whats(ledger)
    ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED)
    ledger.accept(OWNER, AGAIN)
    assert take(ledger, AGAIN)[1].kind == "ok", "another run begins anew"


def test_a_release_for_any_other_reason_is_not_counted(make_ledger):
    ledger = make_ledger(Terms(attempts=1))
    ledger.accept(OWNER, RUN)
    for _ in range(5):
        fence, claim = take(ledger)
        assert (claim.kind, claim.attempt) == ("ok", 1)
        assert ledger.release(OWNER, RUN, fence=fence)


def test_a_run_that_ended_is_over(ledger):
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert take(ledger)[1] == Claim("over")
    ledger.accept(OWNER, AGAIN)
    assert take(ledger)[1] == Claim("over")
    assert take(ledger, AGAIN)[1].kind == "ok"


def test_an_unknown_run_is_claimed_as_the_first_attempt(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger)
    ledger.wipe()
    fence, claim = take(ledger, worker="w2")
    assert claim == Claim("ok", attempt=1, worker="w2")
    assert ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=None)
    assert ledger.state(OWNER, WS).busy == 1


def test_a_claim_that_overtakes_its_record_begins_the_run(ledger):
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED)
    assert take(ledger, AGAIN)[1] == Claim("ok", attempt=1, worker="w")
    assert ledger.accept(OWNER, AGAIN) is False
    assert whats(ledger, 2) == [("claimed", 1)]


# ------------------------------------------------------------------------------------------------ beat, release


def test_a_beat_keeps_the_lease(make_ledger):
    ledger = make_ledger(Terms(lease_seconds=30, grace_seconds=0.02))
    ledger.accept(OWNER, RUN)
    eventually(lambda: ledger.due(limit=9))
    fence, _ = take(ledger, worker="w1")
    assert ledger.due(limit=9) == []
    assert ledger.beat(OWNER, RUN, fence=fence, worker="w1", attempt=1) is True
    assert (ledger.due(limit=9), take(ledger)[1].kind) == ([], "busy")


def test_a_late_beat_wins_the_lease_back_while_nobody_else_took_the_run(make_ledger):
    ledger = make_ledger(SHORT)
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    eventually(lambda: ledger.due(limit=9))
    assert ledger.requeue(DUE)
    assert ledger.beat(OWNER, RUN, fence=fence, worker="w1", attempt=1) is True
    assert ledger.running() == [(DUE, "w1")]


@pytest.mark.parametrize("by", ["another's claim", "the end", "a release", "a later run"])
def test_a_beat_says_when_the_run_is_lost(ledger, by):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    match by:
        case "another's claim":
            take(ledger, dead_worker="w1")
        case "the end":
            ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
        case "a release":
            ledger.release(OWNER, RUN, fence=fence)
        case "a later run":
            ledger.accept(OWNER, AGAIN)
    before = (ledger.record(OWNER, SOURCE), ledger.running())
    assert ledger.beat(OWNER, RUN, fence=fence, worker="w1", attempt=1) is False
    assert (ledger.record(OWNER, SOURCE), ledger.running()) == before


def test_a_beat_writes_a_wiped_record_anew(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w0")
    fence, _ = take(ledger, worker="w1", dead_worker="w0")
    ledger.wipe()
    for _ in range(2):
        assert ledger.beat(OWNER, RUN, fence=fence, worker="w1", attempt=2) is True
    found = ledger.record(OWNER, SOURCE)
    assert (found.run, found.state, found.channel, found.attempt) == (1, State.PROCESSING, WS, 2)
    assert ledger.running() == [(DUE, "w1")]
    assert take(ledger)[1].kind == "busy"
    assert ledger.progress(OWNER, RUN, progress(RUN, 10), fence=fence)
    assert take(ledger, dead_worker="w1")[1].attempt == 3


def test_a_released_run_has_its_attempt_back_and_is_due_after_the_grace(make_ledger):
    ledger = make_ledger(Terms(grace_seconds=0.05))
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    ledger.progress(OWNER, RUN, progress(RUN, 40), fence=fence)
    assert ledger.release(OWNER, RUN, fence=fence) is True
    assert ledger.release(OWNER, RUN, fence=fence) is False
    found = ledger.record(OWNER, SOURCE)
    assert (found.state, found.attempt, found.progress) == (State.ACCEPTED, 0, 40)
    assert ledger.running() == []
    assert eventually(lambda: ledger.due(limit=9)) == [DUE]
    assert take(ledger)[1] == Claim("ok", attempt=1, worker="w", progress=40)
    assert whats(ledger) == [("accepted", 0), ("claimed", 1), ("released", 1), ("claimed", 1)]


def test_the_grace_of_a_release_is_waited_for(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    assert ledger.release(OWNER, RUN, fence=fence)
    assert (ledger.due(limit=9), ledger.requeue(DUE)) == ([], False)


def test_only_the_holder_releases(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    assert not ledger.release(OWNER, RUN, fence=new_fence())
    assert not ledger.release(OWNER, AGAIN, fence=fence)
    assert not ledger.release(OWNER, record(SourceId("other")), fence=fence)
    assert state_of(ledger) == State.PROCESSING


# ------------------------------------------------------------------------------------------------ due, requeue, running, lead


def test_a_run_whose_message_was_lost_is_due_after_its_grace_and_enqueued_with_growing_pauses(make_ledger):
    ledger = make_ledger(Terms(grace_seconds=100))
    ledger.accept(OWNER, RUN)
    for pause in (100, 100, 200, 400, 800, 1600, 3200, 6400, 6400):
        ledger.pass_time(pause - 5)
        assert (ledger.due(limit=9), ledger.requeue(DUE)) == ([], False), pause
        ledger.pass_time(5)
        ledger.pop()
        assert eventually(lambda: ledger.due(limit=9)) == [DUE]
        assert ledger.requeue(DUE) is True
        assert ledger.requeue(DUE) is False, "repeated, it changes nothing"
    assert ledger.queued() == [DUE]


def test_a_run_whose_message_still_waits_is_not_enqueued_again_however_long_that_takes(make_ledger):
    ledger = make_ledger(Terms(grace_seconds=100))
    ledger.accept(OWNER, RUN)
    ledger.accept(OWNER, OTHER)
    for pause in (100, 100, 200, 400, 800, 800):
        ledger.pass_time(pause - 5)
        assert ledger.due(limit=9) == []
        ledger.pass_time(5)
        assert eventually(lambda: len(ledger.due(limit=9)) == 2)
        assert [ledger.requeue(due) for due in ledger.due(limit=9)] == [False, False]
    assert ledger.queued() == [DUE, Due(OWNER, SourceId("s-2"), 1)]
    ledger.pop()
    ledger.pass_time(800)
    assert eventually(lambda: len(ledger.due(limit=9)) == 2)
    assert sorted(ledger.requeue(due) for due in ledger.due(limit=9)) == [False, True], "the one that was taken and lost"
    assert ledger.queued() == [Due(OWNER, SourceId("s-2"), 1), DUE]


def test_what_is_not_due_is_not_enqueued(ledger):
    ledger.accept(OWNER, RUN)
    assert (ledger.due(limit=9), ledger.requeue(DUE)) == ([], False)
    take(ledger, worker="w1")
    assert not ledger.requeue(DUE)
    assert not ledger.requeue(DUE, dead_worker="w2")
    assert ledger.queued() == [DUE]


def test_a_dead_workers_run_is_enqueued_at_once_and_its_next_claim_says_so(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    assert ledger.requeue(DUE, dead_worker="w1") is True
    assert ledger.requeue(DUE, dead_worker="w1") is False
    assert (ledger.running(), ledger.due(limit=9), ledger.queued()) == ([], [], [DUE] * 2)
    assert take(ledger, worker="w2")[1] == Claim("ok", attempt=2, worker="w2", lost=True)


@pytest.mark.parametrize("due", [Due(OWNER, SourceId("never"), 1), Due(STRANGER, SOURCE, 1), Due(OWNER, SOURCE, 2)])
def test_an_unknown_run_is_not_enqueued(make_ledger, due):
    ledger = make_ledger(Terms(grace_seconds=0.01))
    ledger.accept(OWNER, RUN)
    eventually(lambda: ledger.due(limit=9))
    assert ledger.requeue(due) is False
    assert ledger.requeue(due, dead_worker="w") is False
    assert (ledger.queued(), ledger.due(limit=9)) == ([DUE], [DUE])


def test_due_runs_come_oldest_first_and_no_more_than_asked_for(make_ledger):
    ledger = make_ledger(Terms(grace_seconds=0.01))
    runs = [record(SourceId(name)) for name in ("c", "a", "b")]
    for run in runs:
        ledger.accept(OWNER, run)
        eventually(lambda run=run: Due(OWNER, run.source_uuid, 1) in ledger.due(limit=9))
    assert [due.source for due in ledger.due(limit=9)] == ["c", "a", "b"]
    assert [due.source for due in ledger.due(limit=2)] == ["c", "a"]


def test_one_leads_and_stays_until_it_says_nothing_for_its_time(ledger):
    assert ledger.lead("one", seconds=1)
    assert ledger.lead("one", seconds=1)
    assert not ledger.lead("two", seconds=1)
    assert eventually(lambda: ledger.lead("two", seconds=60))
    assert not ledger.lead("one", seconds=60)


# ------------------------------------------------------------------------------------------------ defer


def test_a_run_that_nobody_understood_is_due_after_that_while(make_ledger):
    ledger = make_ledger(SHORT)
    ledger.accept(OWNER, RUN)
    ledger.pop()  # somebody took its message
    eventually(lambda: ledger.due(limit=9) == [DUE])
    assert ledger.defer(OWNER, SOURCE, seconds=60) is True
    assert ledger.due(limit=9) == []
    assert ledger.requeue(DUE) is False
    assert ledger.defer(OWNER, SOURCE, seconds=0) is True
    assert ledger.due(limit=9) == [DUE]
    assert ledger.requeue(DUE) is True


def test_a_run_that_somebody_is_at_or_that_has_ended_or_is_unknown_is_not_deferred(ledger):
    assert ledger.defer(OWNER, SOURCE, seconds=0) is False
    ledger.accept(OWNER, RUN)
    take(ledger)
    assert ledger.defer(OWNER, SOURCE, seconds=0) is False
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert ledger.defer(OWNER, SOURCE, seconds=0) is False
    assert ledger.due(limit=9) == []


# ------------------------------------------------------------------------------------------------ the inbox and the ledger


def test_of_some_sources_those_without_an_open_run_are_named(ledger):
    ledger.accept(OWNER, RUN)
    ledger.accept(OWNER, OTHER)
    ledger.finish(OWNER, OTHER, success(OTHER), state=State.SUCCEEDED)
    asked = [(OWNER, SOURCE), (OWNER, OTHER.source_uuid), (STRANGER, SOURCE), (OWNER, SourceId("never"))]
    assert ledger.unopened(asked) == asked[1:]
    assert ledger.unopened([]) == []


def test_the_ledger_is_whole_from_the_end_of_a_scan_to_the_next_wipe(ledger):
    assert not ledger.is_whole()
    ledger.begin_scan("one")
    assert not ledger.is_whole()
    ledger.end_scan("one")
    assert ledger.is_whole()
    ledger.begin_scan("two")
    assert ledger.is_whole(), "the one before still counts"
    ledger.wipe()
    ledger.end_scan("two")
    assert not ledger.is_whole(), "what the scan opened before the wipe is gone"


def test_only_the_latest_scan_counts(ledger):
    ledger.begin_scan("one")
    ledger.begin_scan("two")
    ledger.end_scan("one")
    assert not ledger.is_whole()
    ledger.end_scan("two")
    assert ledger.is_whole()


def again(ledger, run):
    """As the reconciler does: only the face that it uses can."""
    return next(face for face in ledger._faces if hasattr(face, "lead")).accept(OWNER, run, again=True)


def test_after_a_wipe_a_bare_name_goes_back_to_whose_source_was_accepted_before_it_was_taken(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    assert again(ledger, RUN)
    assert ledger.resolve(WS) == OWNER
    assert told(ledger) == ["accepted"]


def test_a_bare_name_that_was_taken_before_the_acceptance_stays_where_it_is(ledger):
    ledger.register(STRANGER, WS, explicit=True)
    late = RUN.model_copy(update={"accepted_at": datetime.now(UTC) + timedelta(seconds=60)})
    assert again(ledger, late)
    assert ledger.resolve(WS) == STRANGER
