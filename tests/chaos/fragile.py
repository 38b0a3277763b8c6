"""The worker's own app, but for one kind of document: whoever reads it dies at once, each time."""

from __future__ import annotations

import os
import signal

from tests.chaos.submission import POISON
from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for
from worker.pipeline.stages import extract

_extract = extract.run


def _extract_or_die(context):
    if context.record.filename == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    _extract(context)


extract.run = _extract_or_die
