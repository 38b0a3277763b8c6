"""The worker's own app, which dies once where the metadata of a source says so: in a stage, or around a step of the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.celery.places import STEPS
from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for
from worker.pipeline import run
from worker.pipeline.context import StageContext
from worker.pipeline.stages.guard import Guard
from worker.pipeline.stages.thumbnail import Thumbnail

_milestone, _progress, _commit, _remove = StageContext.milestone, StageContext.progress, run.commit, run.inbox.remove


def _die(of, where):
    """`of` a record or a result, which carry the metadata."""
    died = Path(os.environ["HEADRACE_DATA_DIR"]) / f"died-{of.source_uuid}"
    if of.metadata.get("dies") != where or died.exists():
        return
    died.touch()
    if of.metadata["victim"] == "worker":
        os.killpg(0, signal.SIGKILL)  # a worker leads its own group
    os.kill(os.getpid(), signal.SIGKILL)


def _milestone_and_die(context, message, stage=None, **more):
    _milestone(context, message, stage, **more)
    _die(context.record, str(stage))


def _progress_and_die(context, stage, *more, **named):
    _progress(context, stage, *more, **named)
    _die(context.record, str(stage))


def _commit_and_die(store, owner, record, ours):
    _die(ours, STEPS[0])
    winner = _commit(store, owner, record, ours)
    _die(ours, STEPS[1])
    return winner


def _die_and_remove(store, owner, record):
    _die(record, STEPS[2])
    _remove(store, owner, record)


def _dies_in(silent):
    """A stage that tells nothing."""
    does = silent.run

    def die_or_run(stage, context):
        _die(context.record, str(stage.stage))
        does(stage, context)

    silent.run = die_or_run


_dies_in(Guard)
_dies_in(Thumbnail)
StageContext.milestone = _milestone_and_die
StageContext.progress = _progress_and_die
run.commit = _commit_and_die
run.inbox.remove = _die_and_remove
