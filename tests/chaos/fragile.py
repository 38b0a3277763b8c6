"""The worker's own app, but for one kind of document: whoever reads it dies at once, each time."""

from __future__ import annotations

import os
import signal

from app.domain.stages import Stage
from tests.chaos.submission import POISON
from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for
from worker.pipeline.context import StageContext

_milestone = StageContext.milestone


def _milestone_and_die(context, message, stage=None, **more):
    _milestone(context, message, stage, **more)
    if stage is Stage.EXTRACT and context.record.filename == POISON:
        os.kill(os.getpid(), signal.SIGKILL)


StageContext.milestone = _milestone_and_die
