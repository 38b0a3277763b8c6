"""The worker's own app, as if each process ran on a host of its own: nobody can prove it dead, and its lease must run out."""

from __future__ import annotations

import os

from app.domain import lease
from worker.celery_app import app as app  # noqa: PLC0414 - this is what `celery -A` looks for

lease._host = lambda: f"elsewhere-{os.getpid()}"  # noqa: SLF001 - there is no other way to be on two hosts
