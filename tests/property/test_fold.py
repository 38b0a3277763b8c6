"""What a channel tells of a source comes to what the ledger says of it: fold(history) == record."""

import json
import uuid
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.redis.calls import Terms
from app.domain.events import EVENT, SourceAccepted, SourceFailed, SourceProcessing, SourceProgress, SourceSucceeded
from app.domain.ids import new_fence
from app.domain.source import State
from app.domain.stages import Stage
from app.ports import LedgerRecord
from tests.ledgers import OWNER, SOURCE, WS, LedgerFaces, MemoryFaces, RedisFaces, failure, milestone, progress, record, success

ENDS = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "cancelled": State.CANCELLED}


def fold(history: list[str]) -> LedgerRecord | None:
    """How the source stands after these messages. That a run was given back (released) is not said, so it is still at work here."""
    at: LedgerRecord | None = None
    for message in history:
        event = EVENT.validate_python(message)
        if isinstance(event, SourceAccepted):
            at = LedgerRecord(event.run, State.ACCEPTED, WS)
            continue
        assert at is not None
        assert event.run == at.run, "a run begins with its acceptance"
        assert not at.state.is_terminal, "nothing of a run comes after its end"
        if isinstance(event, SourceProcessing):
            at = replace(at, state=State.PROCESSING, attempt=event.attempt, stage=event.stage or at.stage)
        elif isinstance(event, SourceProgress):
            at = replace(at, progress=event.progress)
        elif isinstance(event, SourceSucceeded):
            at = replace(at, state=State.SUCCEEDED)
        elif isinstance(event, SourceFailed):
            at = replace(at, state=State.CANCELLED if event.code == "cancelled" else State.FAILED)
    return at


class Worker:
    """One source, worked on as a worker does: each attempt begins with a milestone. The messages are gathered as they are told."""

    def __init__(self, ledger: LedgerFaces) -> None:
        self.ledger, self.run, self.seq = ledger, record(), 0
        self.fence, self.attempt, self.history = None, 0, []
        self.begin()

    def milestones(self) -> None:
        told = [json.loads(body) for _, body in self.ledger.read(OWNER, WS, after=sum("event-id" in each for each in self.history))]
        self.history += told

    def begin(self) -> None:
        self.ledger.accept(OWNER, self.run)
        self.fence = None
        self.milestones()

    def claim(self) -> None:
        self.fence = new_fence()
        claim = self.ledger.claim(OWNER, self.run, fence=self.fence, worker="w", dead_worker="w")
        self.attempt, self.seq = claim.attempt, 0
        self.stage(None)

    def stage(self, stage: Stage | None) -> None:
        self.seq += 1
        event = milestone(self.run, attempt=self.attempt).model_copy(update={"stage": stage and stage.value})
        self.ledger.append(OWNER, self.run, event, fence=self.fence, attempt=self.attempt, seq=self.seq, stage=stage)
        self.milestones()

    def progress(self, percent: int) -> None:
        event = progress(self.run, percent)
        if self.ledger.progress(OWNER, self.run, event, fence=self.fence):
            self.history.append(json.loads(event.to_json()))

    def end(self, how: str) -> None:
        event = success(self.run) if how == "succeeded" else failure(self.run)
        if how == "cancelled":
            event = event.model_copy(update={"code": "cancelled"})
        self.ledger.finish(OWNER, self.run, event, state=ENDS[how])
        self.milestones()

    def do(self, step: str, number: int, stage: Stage) -> None:
        if self.ledger.record(OWNER, SOURCE).state.is_terminal:
            if step == "again":
                self.run = self.run.rerun(self.run.run + 1)
                self.begin()
        elif step in ENDS:
            self.end(step)
        elif step == "claim" or self.fence is None:
            self.claim()
        elif step == "progress":
            self.progress(number)
        elif step == "stage":
            self.stage(stage)


STEPS = st.tuples(st.sampled_from(["claim", "progress", "progress", "stage", "stage", "again", *ENDS]), st.integers(0, 100), st.sampled_from(Stage))


def folds(ledger: LedgerFaces, steps) -> None:
    worker = Worker(ledger)
    for step in steps:
        worker.do(*step)
        assert fold(worker.history) == ledger.record(OWNER, SOURCE)


@given(st.lists(STEPS, max_size=40))
def test_the_history_of_a_source_comes_to_its_record(steps):
    with MemoryFaces("memory", Terms(attempts=100)) as ledger:
        folds(ledger, steps)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_so_it_does_on_a_real_server(valkey, steps):
    with valkey.client() as raw, RedisFaces("redis", valkey.url, f"test-{uuid.uuid4().hex}:", Terms(attempts=100), raw) as ledger:
        folds(ledger, steps)
