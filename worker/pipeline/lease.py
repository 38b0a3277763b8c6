"""Holding a run: a thread that keeps the lease while the work goes on, and says when the run is no longer ours."""

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

_BEAT_SECONDS = 1.0
"""How soon a run that was cancelled, deleted or taken over is left. A beat costs Redis some 50 microseconds."""


class LeaseLost(Exception):
    """The run is no longer ours, or has ended (it was cancelled): stop, and leave everything to whoever has it."""


class Heartbeat:
    """Keeps the lease for as long as the `with` block runs."""

    def __init__(self, ledger: Ledger, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int, lease_seconds: float) -> None:
        self._ledger = ledger
        self._owner = owner
        self._record = record
        self._fence = fence
        self._worker = worker
        self._attempt = attempt
        self._every = min(lease_seconds / 4, _BEAT_SECONDS)
        self._stop = threading.Event()
        self._lost = threading.Event()
        self.is_away = False
        """Redis did not answer us lately, and need not be asked before a beat has found it again. Whoever finds it away says so here."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises LeaseLost. Costs nothing: long loops call it in every turn."""
        if self._lost.is_set():
            raise LeaseLost

    def pause(self, seconds: float) -> None:
        """Sleep. Raises LeaseLost, at once when the run is lost meanwhile."""
        if self._lost.wait(seconds):
            raise LeaseLost

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                is_ours = self._ledger.beat(self._owner, self._record, fence=self._fence, worker=self._worker, attempt=self._attempt)
            except Unavailable:
                if not self.is_away:
                    log.warning("no heartbeat: Redis is away")  # the lease may run out; the commit decides who was first
                self.is_away = True
                continue
            self.is_away = False
            if not is_ours:
                self._lost.set()
                return
