"""The Celery application of the workers: `celery -A worker.celery_app worker`."""

from __future__ import annotations

import gc
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready, worker_shutdown

from app.settings import load
from app.telemetry import logging
from worker import kombu_guard as kombu_guard  # noqa: PLC0414 - for what it does
from worker import pool_guard as pool_guard  # noqa: PLC0414 - as above
from worker import refusals as refusals  # noqa: PLC0414 - as above
from worker import tasks
from worker.runtime import parts
from worker.signs import SignsOfLife

app = Celery("headrace")
app.config_from_object("celeryconfig")
signs = SignsOfLife()


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
    parts(tasks.TIMEOUTS).parser.warm()


@worker_ready.connect
def _say(sender: Any = None, **_: object) -> None:
    signs.begin(load(), sender.hostname, list(sender.app.amqp.queues.consume_from))
    print(f"worker ready: {sender.hostname}", flush=True)  # noqa: T201 - a supervisor reads it


@worker_shutdown.connect
def _gone(**_: object) -> None:
    signs.end()
