"""What a channel counts: the sources that were expected, those that ended, and the roll-up it tells; over memory and Redis."""

import json

import pytest

from app.domain.events import EVENT, Batch, SourceReceiving
from app.domain.ids import ChannelId, SourceId
from app.domain.source import State
from tests.ledgers import OWNER, WS, events, failure, milestone, record, success, take
from tests.servers import eventually

A, B, C = (record(SourceId(name)) for name in "abc")


def end(ledger, run, state=State.SUCCEEDED):
    return ledger.finish(OWNER, run, success(run) if state is State.SUCCEEDED else failure(run), state=state)


def process(ledger, run, state=State.SUCCEEDED):
    ledger.accept(OWNER, run)
    assert end(ledger, run, state)


def batches(ledger):
    """Each roll-up, as (done, failed, total, percent)."""
    told = [event for event in events(ledger) if event["event"] == "batch"]
    return [(event["done"], event["failed"], event["total"], event["percent"]) for event in told]


def counted(ledger):
    state = ledger.state(OWNER, WS)
    return state.expected, state.ended


def test_the_ends_of_a_channel_with_an_expectation_are_rolled_up_one_by_one(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=3)
    for run, state in ((A, State.SUCCEEDED), (B, State.FAILED), (C, State.CANCELLED)):
        assert ledger.state(OWNER, WS).waits_for_more
        process(ledger, run, state)
    assert batches(ledger) == [(1, 0, 3, 33), (1, 1, 3, 66), (1, 2, 3, 100)]
    assert not ledger.state(OWNER, WS).waits_for_more


def test_a_roll_up_follows_its_end_at_once_and_is_an_event_of_its_own(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A)
    told = events(ledger)
    assert [event["event"] for event in told] == ["source.accepted", "source.succeeded", "batch"]
    assert isinstance(EVENT.validate_python(told[2]), Batch)
    assert told[2].keys() == {"event-id", "event", "at", "status", "done", "failed", "total", "percent"}
    assert told[2]["at"] == told[1]["at"]


def test_a_channel_of_one_source_has_no_roll_up(ledger):
    ledger.register(OWNER, WS, explicit=True)
    process(ledger, A)
    assert (batches(ledger), counted(ledger)) == ([], (0, 1))


def test_a_channel_of_several_sources_counts_those_that_ended_and_those_that_are_open(ledger):
    ledger.accept(OWNER, A)
    ledger.accept(OWNER, B)
    end(ledger, A)
    end(ledger, B, State.FAILED)
    assert batches(ledger) == [(1, 0, 2, 50), (1, 1, 2, 100)]
    process(ledger, C)
    assert batches(ledger)[2:] == [(2, 1, 3, 100)]


def test_more_sources_than_were_expected_count_too(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=1)
    ledger.accept(OWNER, A)
    ledger.accept(OWNER, B)
    end(ledger, A)
    assert ledger.state(OWNER, WS).waits_for_more, "one is open yet"
    end(ledger, B)
    assert batches(ledger) == [(1, 0, 2, 50), (2, 0, 2, 100)]
    assert not ledger.state(OWNER, WS).waits_for_more


def test_an_end_that_is_said_again_counts_once(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A)
    for _ in range(2):
        assert not end(ledger, A)
    assert (batches(ledger), counted(ledger)) == ([(1, 0, 2, 50)], (2, 1))


def test_a_source_counts_once_for_its_latest_run(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A, State.FAILED)
    again = A.rerun(2)
    ledger.accept(OWNER, again)
    assert counted(ledger) == (2, 0), "it is open again"
    fence, _ = take(ledger, again)
    ledger.append(OWNER, again, milestone(again), fence=fence, attempt=1, seq=1, stage=None)
    end(ledger, again)
    assert (batches(ledger), counted(ledger)) == ([(0, 1, 2, 50), (1, 0, 2, 50)], (2, 1))
    process(ledger, B)
    assert batches(ledger)[-1] == (2, 0, 2, 100)


def test_a_late_end_of_an_earlier_run_counts_nothing(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    ledger.accept(OWNER, A)
    ledger.accept(OWNER, A.rerun(2))
    end(ledger, A, State.FAILED)
    assert (batches(ledger), counted(ledger)) == ([], (2, 0))


def test_the_end_of_a_source_that_ended_on_another_channel_counts_here(ledger):
    process(ledger, record(A.source_uuid, ws=ChannelId("ws-2")))
    ledger.register(OWNER, WS, explicit=True, expect=2)
    end(ledger, A)
    assert (batches(ledger), counted(ledger)) == ([(1, 0, 2, 50)], (2, 1))


def test_what_ended_before_the_first_registration_counts(ledger):
    process(ledger, A)
    ledger.register(OWNER, WS, explicit=False)
    ledger.register(OWNER, WS, explicit=True, expect=2)
    assert counted(ledger) == (2, 1)
    process(ledger, B)
    assert batches(ledger) == [(2, 0, 2, 100)]


@pytest.mark.parametrize("said", [{}, {"expect": 2}, {"keep_open": False}])
def test_a_later_registration_counts_anew(ledger, said):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A, State.FAILED)
    process(ledger, B)
    ledger.register(OWNER, WS, explicit=True, **said)
    assert counted(ledger) == (said.get("expect", 0), 0)
    process(ledger, C)
    ledger.accept(OWNER, B.rerun(2))
    ledger.accept(OWNER, A.rerun(2))
    assert counted(ledger)[1] == 1, "what ended before was not counted, so it is not taken back"
    end(ledger, A.rerun(2))
    assert batches(ledger)[-1] == (2, 0, 3, 66)


def test_what_was_open_at_a_registration_counts_when_it_ends(ledger):
    ledger.register(OWNER, WS, explicit=True)
    ledger.accept(OWNER, A)
    ledger.register(OWNER, WS, explicit=True, expect=1)
    end(ledger, A)
    assert counted(ledger) == (1, 1)


def test_who_comes_back_and_says_nothing_finds_the_count_as_it_was(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A)
    for explicit in (True, False):
        ledger.register(OWNER, WS, explicit=explicit)
        assert counted(ledger) == (2, 1)
    process(ledger, B)
    assert batches(ledger) == [(1, 0, 2, 50), (2, 0, 2, 100)]


def test_an_expectation_and_an_open_end_take_each_other_back(ledger):
    seen = []
    for said in ({"keep_open": True}, {"expect": 2}, {"keep_open": True}, {}):
        ledger.register(OWNER, WS, explicit=True, **said)
        state = ledger.state(OWNER, WS)
        seen.append((state.keep_open, state.expected, state.waits_for_more))
    assert seen == [(True, 0, True), (False, 2, True), (True, 0, True), (True, 0, True)]


def test_a_wipe_takes_the_expectation(ledger):
    ledger.register(OWNER, WS, explicit=True, expect=2)
    process(ledger, A)
    ledger.wipe()
    ledger.restore(OWNER, WS)
    assert (counted(ledger), ledger.state(OWNER, WS).waits_for_more) == ((0, 0), False)


def test_a_receipt_leaves_nothing(ledger):
    ledger.register(OWNER, WS, explicit=True)
    before = ledger.state(OWNER, WS)
    ledger.receipt(OWNER, WS, SourceReceiving.of(A.source_uuid, 5, 10))
    assert (ledger.state(OWNER, WS), ledger.read(OWNER, WS, after=0), ledger.latest_progress(OWNER, WS)) == (before, [], [])
    assert ledger.sources(OWNER, WS) == []


@pytest.mark.parametrize("kind", ["redis", "redis-async"])
def test_whoever_listens_hears_a_receipt_and_a_roll_up_as_they_are_published(open_ledger, kind):
    ledger = open_ledger(kind)
    names = ledger.names()
    with ledger.raw.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(ledger.keys.live(OWNER, WS))
        eventually(lambda: listening.get_message(timeout=1) is None)
        ledger.receipt(OWNER, WS, SourceReceiving.of(A.source_uuid, 5, 10))
        assert ledger.names() == names
        ledger.register(OWNER, WS, explicit=True, expect=2)
        process(ledger, A)
        heard = []
        eventually(lambda: heard.append(listening.get_message(timeout=1)) or heard[-1] is None)
    bodies = [message["data"] for message in heard if message]
    kind, _, receipt = bodies[0].partition(" ")
    assert (kind, json.loads(receipt)["stage-progress"]) == ("p", 50)
    epoch = ledger.state(OWNER, WS).epoch
    assert [body.split(" ", 3)[:3] for body in bodies[1:]] == [["m", str(n), epoch] for n in (1, 2, 3)]
    assert [body.split(" ", 3)[3].encode() if isinstance(body, str) else body for body in bodies[1:]] == [
        line if isinstance(line, bytes) else line.encode() for _, line in ledger.read(OWNER, WS, after=0)
    ]
