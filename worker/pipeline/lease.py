"""Holding a run: its lease is kept while the work goes on, and whoever works is told when the run is no longer ours."""

from __future__ import annotations

import logging
import threading
import time
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


class Heart:
    """One thread that beats for all runs of this process, begun with the first: a thread of its own would cost a small source 0.2 ms of CPU."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Heartbeat, float] = {}
        """Of those that are held, when each beats next; by the monotonic clock."""
        self._wakes: float | None = None
        self._thread: threading.Thread | None = None

    def hold(self, heartbeat: Heartbeat) -> None:
        with self._changed:
            due = self._due[heartbeat] = time.monotonic() + heartbeat.every
            if self._thread is None or not self._thread.is_alive():  # no thread lives on in a child that was forked
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()
            elif self._wakes is None or due < self._wakes:
                self._changed.notify()

    def drop(self, heartbeat: Heartbeat) -> None:
        """When this returns, no beat of it is under way."""
        with self._changed:
            self._due.pop(heartbeat, None)
        with heartbeat.beating:
            pass

    def _run(self) -> None:
        while True:
            heartbeat = self._next()
            try:
                if not heartbeat.beat():
                    with self._changed:
                        self._due.pop(heartbeat, None)
            except Exception:
                log.exception("no heartbeat")  # of one; the others live by this thread too
            finally:
                heartbeat.beating.release()

    def _next(self) -> Heartbeat:
        """Waits until one is due; it is `beating` then."""
        with self._changed:
            while True:
                heartbeat = min(self._due, key=self._due.__getitem__, default=None)
                now = time.monotonic()
                if heartbeat is not None and self._due[heartbeat] <= now:
                    self._due[heartbeat] = now + heartbeat.every
                    heartbeat.beating.acquire()  # before whoever drops it can look
                    return heartbeat
                self._wakes = None if heartbeat is None else self._due[heartbeat]
                self._changed.wait(None if self._wakes is None else self._wakes - now)


_HEART = Heart()


class Heartbeat:
    """Keeps the lease for as long as the `with` block runs."""

    def __init__(self, ledger: Ledger, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int, lease_seconds: float) -> None:
        self._ledger = ledger
        self._owner = owner
        self._record = record
        self._fence = fence
        self._worker = worker
        self._attempt = attempt
        self._lost = threading.Event()
        self.every = min(lease_seconds / 4, _BEAT_SECONDS)
        self.beating = threading.Lock()
        """Held while a beat is under way."""
        self.is_away = False
        """Redis did not answer us lately, and need not be asked before a beat has found it again. Whoever finds it away says so here."""

    def __enter__(self) -> Self:
        _HEART.hold(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _HEART.drop(self)

    def check(self) -> None:
        """Raises LeaseLost. Costs nothing: long loops call it in every turn."""
        if self._lost.is_set():
            raise LeaseLost

    def pause(self, seconds: float) -> None:
        """Sleep. Raises LeaseLost, at once when the run is lost meanwhile."""
        if self._lost.wait(seconds):
            raise LeaseLost

    def beat(self) -> bool:
        """False: the run is no longer ours, and needs no more."""
        try:
            is_ours = self._ledger.beat(self._owner, self._record, fence=self._fence, worker=self._worker, attempt=self._attempt)
        except Unavailable:
            if not self.is_away:
                log.warning("no heartbeat: Redis is away")  # the lease may run out; the commit decides who was first
            self.is_away = True
            return True
        self.is_away = False
        if not is_ours:
            self._lost.set()
        return is_ours
