"""The worker's own app, which can be told to die between taking a message and noting it: the moment at which the message is nowhere."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from kombu.transport import redis as kombu_redis

from tests.celery.places import DIES
from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for

_append = kombu_redis.QoS.append


def _die_or_note(self, message, delivery_tag):
    order = Path(os.environ["HEADRACE_DATA_DIR"]) / DIES
    if order.exists():
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return _append(self, message, delivery_tag)


kombu_redis.QoS.append = _die_or_note
