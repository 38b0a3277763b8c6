"""What one reconciler does each second, while it leads.

    runs whose lease or grace is over, or whose worker died on this host     enqueued again
    runs that wait for a turn which was lost                                 woken
    the inbox, each minute, at once after a wipe                             a page at a time (scan.py)
    what nobody needs any more, each day                                     a page at a time (sweep.py)

Each turn is bounded, whatever has piled up, so the first two are never late for long.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from app.domain.lease import is_provably_dead
from worker.pipeline.run import Parts
from worker.reconcile.daily import Daily
from worker.reconcile.scan import Scan

_DUE = 500
_LEAD_SECONDS = 10
_THOROUGH = 10
"""Of so many scans of the inbox one looks at what Redis knows to be open as well: a deletion that was cut short is found by that alone."""


class Reconciler:
    """`patience_seconds`: after a wipe the workers' heartbeats write down anew what is at work; the inbox is not opened again before."""

    def __init__(
        self, parts: Parts, *, name: str, scan_seconds: float, patience_seconds: float = 0, daily: Daily | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._parts = parts
        self._name = name
        self._scan_seconds = scan_seconds
        self._patience_seconds = patience_seconds
        self._daily = daily
        self._clock = clock
        self._scan = Scan(parts)
        self._scans = 0
        self._scan_at = float("-inf")
        self._wiped_at: float | None = None
        self.leads = False
        """Whether it did at its last turn."""

    @property
    def is_scanning(self) -> bool:
        return self._scan.is_running

    def turn(self) -> Counter[str] | None:
        """One look; what it did, by kind. None: another one leads. Raises Unavailable."""
        done: Counter[str] = Counter()
        self.leads = self._parts.ledger.lead(self._name, seconds=_LEAD_SECONDS)
        if not self.leads:
            return None
        done["requeued"] += self.requeue()
        done["woken"] += self.wake()
        if self._is_scan_due():
            self._scan.begin(thorough=self._scans % _THOROUGH == 0)
            self._scans += 1
            self._scan_at = self._clock() + self._scan_seconds
        if self._scan.is_running:
            done += self._scan.step()
        elif self._daily is not None:
            done += self._daily.step()
        return done

    def requeue(self) -> int:
        """Open runs that wait too long, or whose worker is gone."""
        ledger = self._parts.ledger
        count = sum(ledger.requeue(due) for due in ledger.due(limit=_DUE))
        for due, worker in ledger.running():
            if is_provably_dead(worker):
                count += ledger.requeue(due, dead_worker=worker)
        return count

    def wake(self) -> int:
        """Runs that wait for a turn, though there is one."""
        ledger = self._parts.ledger
        return sum(ledger.wake(owner, lane) for owner, lane in ledger.queueing())

    def _is_scan_due(self) -> bool:
        if self._scan.is_running:
            return False
        now = self._clock()
        if self._parts.ledger.is_whole():
            self._wiped_at = None
            return now >= self._scan_at
        if self._wiped_at is None:
            self._wiped_at = now
        return now - self._wiped_at >= self._patience_seconds
