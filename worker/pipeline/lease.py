"""Holding a run: a thread that keeps the lease while the work goes on, and says when it was lost."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from app.domain.errors import Unavailable
from app.domain.ids import Fence, OwnerId
from app.domain.source import InboxRecord
from app.ports import Ledger

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The run is no longer ours: stop, and leave everything to whoever has it."""


class Heartbeat:
    """Keeps the lease for as long as the `with` block runs. Beats four times in a lease."""

    def __init__(self, ledger: Ledger, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int, lease_seconds: float) -> None:
        self._ledger = ledger
        self._owner = owner
        self._record = record
        self._fence = fence
        self._worker = worker
        self._attempt = attempt
        self._every = lease_seconds / 4
        self._stop = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        if self._lost:
            raise LeaseLost

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                if not self._ledger.beat(self._owner, self._record, fence=self._fence, worker=self._worker, attempt=self._attempt):
                    self._lost = True
                    return
            except Unavailable:
                log.warning("no heartbeat: Redis is away")  # the lease may run out; the commit decides who was first
