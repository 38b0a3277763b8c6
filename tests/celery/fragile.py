"""The worker's own app, for documents that do harm: the name of a file says what happens to whoever processes it."""

from __future__ import annotations

import os
import signal

from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for
from worker.pipeline import run
from worker.pipeline.stages.extract import Extract

KILLS = "kills.txt"
"""Ends the process that reads it, each time."""
STOPS = "stops.txt"
"""Freezes the process between the work of the first attempt and its commit."""

_extract, _commit = Extract.run, run.commit


def _extract_or_die(stage, context):
    if context.record.filename == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    _extract(stage, context)


def _freeze_and_commit(store, owner, record, ours):
    if ours.filename == STOPS and ours.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return _commit(store, owner, record, ours)


Extract.run = _extract_or_die
run.commit = _freeze_and_commit
