"""What a run tells, through the ledger: milestones, progress, the end; sentence by sentence of ports.Ledger, over memory and Redis."""

from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.redis.calls import Terms
from app.domain.ids import ChannelId, new_fence
from app.domain.source import State
from app.domain.stages import Stage
from app.ports import Due
from app.services.message import Message
from tests.ledgers import OWNER, SOURCE, STRANGER, WS, events, failure, milestone, progress, record, state_of, success, take, told, whats
from tests.servers import eventually

RUN = record()
AGAIN = record(run=2)
DUE = Due(OWNER, SOURCE, 1)


# ------------------------------------------------------------------------------------------------ append, progress


def test_a_milestone_is_told_once_for_each_run_attempt_and_seq(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    for seq, stage in ((1, None), (2, Stage.SNIFF)):
        assert ledger.append(OWNER, RUN, milestone(RUN, str(seq)), fence=fence, attempt=1, seq=seq, stage=stage) is True
        assert ledger.append(OWNER, RUN, milestone(RUN, str(seq)), fence=fence, attempt=1, seq=seq, stage=stage) is False
    assert not ledger.append(OWNER, RUN, milestone(RUN, "1"), fence=fence, attempt=1, seq=1, stage=None)
    assert [e.get("message") for e in events(ledger)] == [None, "1", "2"]
    assert whats(ledger) == [("accepted", 0), ("claimed", 1), ("sniff", 1)]
    assert ledger.record(OWNER, SOURCE).stage == "sniff"


def test_a_later_attempt_begins_its_milestones_anew(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=7, stage=None)
    fence, _ = take(ledger, dead_worker="w1")
    assert ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=2, seq=1, stage=None)
    assert told(ledger) == ["accepted", "processing", "processing"]


def test_a_foreign_fence_tells_nothing(ledger):
    ledger.accept(OWNER, RUN)
    assert not ledger.append(OWNER, RUN, milestone(RUN), fence=new_fence(), attempt=1, seq=1, stage=None), "nobody holds it"
    old, _ = take(ledger, worker="w1")
    new, _ = take(ledger, dead_worker="w1")
    assert not ledger.append(OWNER, RUN, milestone(RUN), fence=old, attempt=1, seq=9, stage=Stage.STORE)
    assert not ledger.progress(OWNER, RUN, progress(RUN, 50), fence=old)
    assert not ledger.append(OWNER, AGAIN, milestone(AGAIN), fence=new, attempt=2, seq=1, stage=None)
    assert not ledger.progress(OWNER, AGAIN, progress(AGAIN, 50), fence=new)
    assert (told(ledger), ledger.latest_progress(OWNER, WS), ledger.record(OWNER, SOURCE).progress) == (["accepted"], [], 0)


def test_after_its_end_a_run_tells_nothing(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert not ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=None)
    assert not ledger.progress(OWNER, RUN, progress(RUN, 50), fence=fence)
    ledger.forget(OWNER, SOURCE)
    assert not ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=9, seq=9, stage=None)
    assert told(ledger) == ["accepted", "succeeded"]


def test_a_milestone_of_an_unknown_run_is_told(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    ledger.wipe()
    assert ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=Stage.SNIFF) is True
    assert not ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=Stage.SNIFF)
    assert not ledger.progress(OWNER, RUN, progress(RUN, 50), fence=fence)
    assert told(ledger) == ["processing"]


def test_progress_never_goes_back_within_a_run(ledger):
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    assert [ledger.progress(OWNER, RUN, progress(RUN, percent), fence=fence) for percent in (9, 10, 10, 9)] == [True, True, True, False]
    latest = Message.progress(progress_json(ledger, 10))
    assert (latest.epoch, latest.head, latest.offset, latest.event["progress"]) == (*ledger.state(OWNER, WS).last, 0, 10)
    assert ledger.record(OWNER, SOURCE).progress == 10
    fence, claim = take(ledger, dead_worker="w1")
    assert claim.progress == 10
    assert not ledger.progress(OWNER, RUN, progress(RUN, 9), fence=fence)
    ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED)
    assert ledger.latest_progress(OWNER, WS) == []
    ledger.accept(OWNER, AGAIN)
    fence, claim = take(ledger, AGAIN)
    assert claim.progress == 0
    assert ledger.progress(OWNER, AGAIN, progress(AGAIN, 1), fence=fence)


def progress_json(ledger, percent):
    (found,) = ledger.latest_progress(OWNER, WS)
    assert f'"progress":{percent}'.encode() in found
    return found


# ------------------------------------------------------------------------------------------------ finish, timeline, forget


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_the_end_is_said_once_and_closes_the_run(make_ledger, state):
    ledger = make_ledger(Terms(grace_seconds=0.01, lease_seconds=0.01))
    ledger.accept(OWNER, RUN)
    take(ledger, worker="w1")
    eventually(lambda: ledger.due(limit=9))
    end = success(RUN) if state is State.SUCCEEDED else failure(RUN)
    assert ledger.finish(OWNER, RUN, end, state=state) is True
    assert ledger.finish(OWNER, RUN, end, state=state) is False
    assert state_of(ledger) == state
    assert (ledger.due(limit=9), ledger.running(), ledger.state(OWNER, WS).busy) == ([], [], 0)
    assert not ledger.requeue(DUE)
    assert not ledger.requeue(DUE, dead_worker="w1")
    assert len(told(ledger)) == 2


def test_the_first_end_counts(ledger):
    ledger.accept(OWNER, RUN)
    assert ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert not ledger.finish(OWNER, RUN, failure(RUN), state=State.CANCELLED)
    assert (state_of(ledger), told(ledger)) == (State.SUCCEEDED, ["accepted", "succeeded"])


def test_the_end_of_an_unknown_run_is_said(ledger):
    assert ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED) is True
    assert ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED) is False
    assert (state_of(ledger), told(ledger), ledger.state(OWNER, WS).busy) == (State.SUCCEEDED, ["succeeded"], 0)
    assert take(ledger)[1].kind == "over"
    assert ledger.accept(OWNER, RUN) is False


def test_the_end_of_a_later_run_that_the_ledger_missed_replaces_the_earlier(ledger):
    ledger.accept(OWNER, RUN)
    take(ledger)
    assert ledger.finish(OWNER, AGAIN, success(AGAIN), state=State.SUCCEEDED)
    found = ledger.record(OWNER, SOURCE)
    assert (found.run, found.state, found.attempt) == (2, State.SUCCEEDED, 0)
    assert (ledger.due(limit=9), ledger.running(), whats(ledger, 2)) == ([], [], [])


def test_a_second_channel_hears_the_end_too(ledger):
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    elsewhere = record(ws=ChannelId("ws-2"))
    ledger.register(OWNER, elsewhere.ws_uuid, explicit=True)
    assert ledger.finish(OWNER, elsewhere, success(RUN), state=State.SUCCEEDED) is True
    assert ledger.finish(OWNER, elsewhere, success(RUN), state=State.SUCCEEDED) is False
    assert told(ledger, ws=elsewhere.ws_uuid) == ["succeeded"]
    assert (told(ledger), ledger.record(OWNER, SOURCE).channel) == (["accepted", "succeeded"], WS)


def test_a_late_end_of_the_earlier_run_does_not_disturb_the_later(ledger):
    ledger.accept(OWNER, RUN)
    ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED)
    ledger.accept(OWNER, AGAIN)
    fence, _ = take(ledger, AGAIN, worker="w1")
    ledger.progress(OWNER, AGAIN, progress(AGAIN, 5), fence=fence)
    before = (ledger.record(OWNER, SOURCE), ledger.running(), ledger.state(OWNER, WS), ledger.latest_progress(OWNER, WS))
    assert ledger.finish(OWNER, RUN, failure(RUN), state=State.FAILED) is False
    assert (ledger.record(OWNER, SOURCE), ledger.running(), ledger.state(OWNER, WS), ledger.latest_progress(OWNER, WS)) == before
    assert ledger.beat(OWNER, AGAIN, fence=fence, worker="w1", attempt=1)


def test_a_timeline_has_its_times_in_order(ledger):
    before = datetime.now(UTC) - timedelta(seconds=5)
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger)
    for seq, stage in enumerate(Stage, 1):
        ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=seq, stage=stage)
    moments = ledger.timeline(OWNER, SOURCE, 1)
    assert [m.what for m in moments] == ["accepted", "claimed", *Stage]
    times = [m.at for m in moments]
    assert times == sorted(times)
    assert before < times[0] <= times[-1] < datetime.now(UTC) + timedelta(seconds=5)


def test_nothing_is_known_of_what_never_was(ledger):
    assert (ledger.timeline(OWNER, SOURCE, 1), ledger.record(OWNER, SOURCE), ledger.due(limit=9), ledger.running()) == ([], None, [], [])
    ledger.forget(OWNER, SOURCE)
    ledger.ping()


def test_a_forgotten_source_leaves_nothing_open(make_ledger):
    ledger = make_ledger(Terms(grace_seconds=0.01))
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="w1")
    ledger.progress(OWNER, RUN, progress(RUN, 5), fence=fence)
    for _ in range(2):
        ledger.forget(OWNER, SOURCE)
        assert (ledger.record(OWNER, SOURCE), whats(ledger), ledger.running(), ledger.due(limit=9)) == (None, [], [], [])
        assert (ledger.state(OWNER, WS).busy, ledger.latest_progress(OWNER, WS)) == (0, [])
    assert told(ledger) == ["accepted"]


def test_owners_with_the_same_ids_do_not_meet(ledger):
    for owner in (OWNER, STRANGER):
        assert ledger.accept(owner, RUN)
    ledger.finish(OWNER, RUN, success(RUN), state=State.SUCCEEDED)
    assert state_of(ledger, STRANGER) == State.ACCEPTED
    assert (told(ledger), told(ledger, STRANGER)) == (["accepted", "succeeded"], ["accepted"])
    assert (ledger.state(OWNER, WS).busy, ledger.state(STRANGER, WS).busy) == (0, 1)
