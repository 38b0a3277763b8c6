"""The Celery application of the workers: `celery -A worker.celery_app worker`."""

from __future__ import annotations

import gc
import logging as stdlib_logging
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready
from kombu.transport import redis as kombu_redis

from app.settings import load
from app.telemetry import logging
from worker import tasks
from worker.runtime import parts

log = stdlib_logging.getLogger(__name__)

app = Celery("headrace")
app.config_from_object("celeryconfig")

_restore_unacked = kombu_redis.QoS.restore_unacked


def _restore_unacked_or_leave_it(self: Any, client: Any = None) -> Any:
    """kombu 5.7 raises AttributeError here when the connection is gone already, and Celery takes that for the end of the worker.

    What is not restored comes back by the lease.
    """
    try:
        return _restore_unacked(self, client)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker
        log.warning("unacknowledged messages were not restored: %s", type(error).__name__)
        self._delivered.clear()
        return []


kombu_redis.QoS.restore_unacked = _restore_unacked_or_leave_it  # type: ignore[method-assign]


@setup_logging.connect
def _log(**_: object) -> None:
    settings = load()
    logging.configure(settings.log_level, process="worker", form=settings.log_format)


@worker_init.connect
def _freeze(**_: object) -> None:
    """What was imported before the fork is shared by the children, if the collector leaves it alone. No I/O here: see runtime.py."""
    gc.freeze()


@worker_process_init.connect
def _warm(**_: object) -> None:
    parts(tasks.TIMEOUTS)


@worker_ready.connect
def _say(sender: Any = None, **_: object) -> None:
    print(f"worker ready: {sender.hostname}", flush=True)  # noqa: T201 - a supervisor reads it
