"""An attempt's reports while Redis comes and goes."""

from __future__ import annotations

import json

import pytest

from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.domain.errors import Unavailable
from app.domain.stages import Stage
from tests.ledgers import OWNER, WS, milestone, progress, record
from worker.pipeline.story import Story

RUN = record()


class Pulse:
    is_away = False


class Fickle(MemoryLedger):
    """In memory; away while `away`, or after so many more calls. A call that is `late` is heard, and its answer lost."""

    away = False
    late = False
    calls = 0

    def append(self, *args, **kwargs):
        return self._maybe(super().append, args, kwargs)

    def progress(self, *args, **kwargs):
        return self._maybe(super().progress, args, kwargs)

    def _maybe(self, call, args, kwargs):
        self.calls += 1
        if self.late:
            call(*args, **kwargs)
        if self.away or self.late:
            raise Unavailable("redis_unavailable")
        return call(*args, **kwargs)


@pytest.fixture
def ledger():
    ledger = Fickle(MemoryState())
    ledger.accept(OWNER, RUN)
    ledger.claim(OWNER, RUN, fence="f", worker="w")
    return ledger


@pytest.fixture
def pulse():
    return Pulse()


@pytest.fixture
def story(ledger, pulse):
    return Story(ledger, OWNER, RUN, fence="f", attempt=1, heartbeat=pulse)


def told(ledger):
    return [json.loads(body).get("message") for body in ledger._state.channel(OWNER, WS).stream][1:]


def say(story, text):
    story.tell(milestone(RUN).model_copy(update={"message": text}), Stage.SNIFF)


def test_milestones_are_told_as_they_come(story, ledger):
    for text in "abc":
        say(story, text)
    assert told(ledger) == ["a", "b", "c"]


def test_what_an_outage_held_back_is_told_in_order_with_the_next_report(story, ledger, pulse):
    say(story, "a")
    ledger.away = True
    say(story, "b")
    assert pulse.is_away, "whoever finds Redis away says so"
    say(story, "c")
    assert ledger.calls == 2, "a Redis that is known to be away is not asked again: a frozen one holds up each call for seconds"
    ledger.away = pulse.is_away = False
    say(story, "d")
    assert told(ledger) == ["a", "b", "c", "d"]


def test_progress_is_dropped_meanwhile_and_brings_what_was_held_back(story, ledger, pulse):
    ledger.away = True
    say(story, "a")
    story.progress(progress(RUN, 10))
    assert ledger.record(OWNER, RUN.source_uuid).progress == 0
    ledger.away = pulse.is_away = False
    story.progress(progress(RUN, 20))
    assert (told(ledger), ledger.record(OWNER, RUN.source_uuid).progress) == (["a"], 20)


def test_progress_that_finds_redis_away_is_no_error(story, ledger, pulse):
    ledger.away = True
    story.progress(progress(RUN, 10))
    assert pulse.is_away


def test_a_milestone_whose_answer_was_lost_is_told_once(story, ledger, pulse):
    ledger.late = True
    say(story, "a")
    ledger.late = pulse.is_away = False
    say(story, "b")
    assert told(ledger) == ["a", "b"]


def test_catching_up_raises_while_redis_is_away_and_loses_nothing(story, ledger, pulse):
    ledger.away = True
    say(story, "a")
    with pytest.raises(Unavailable):
        story.catch_up()
    ledger.away = False
    story.catch_up()
    story.catch_up()
    assert told(ledger) == ["a"]
