"""The reconciler: `python -m worker.reconcile`. Whatever is open and has nobody at work is enqueued again, or finished.

Any number of them may run; one leads, by a lease. Every second: runs whose lease or grace is over, and runs whose worker died on
this host. Every minute, and at the start: the inbox, which is the truth after Redis was wiped. It costs what is open, not what is stored.
"""

from __future__ import annotations

import logging as stdlib_logging
import os
import signal
import socket
import sys
import threading
import time

from app.domain.errors import HeadraceError, Unavailable
from app.domain.lease import is_provably_dead
from app.protocol import inbox
from app.protocol.outcome import outcome
from app.settings import Settings, SettingsError, load
from app.telemetry import logging
from worker import runtime
from worker.pipeline.run import Parts, bury, conclude

log = stdlib_logging.getLogger("reconciler")

_PAGE = 500
_LEAD_SECONDS = 10


class Reconciler:
    def __init__(self, parts: Parts, *, name: str, scan_seconds: float) -> None:
        self._parts = parts
        self._name = name
        self._scan_seconds = scan_seconds
        self._scanned_at = float("-inf")

    def turn(self) -> int:
        """One look; how many runs it enqueued or finished. Raises Unavailable."""
        if not self._parts.ledger.lead(self._name, seconds=_LEAD_SECONDS):
            return 0
        count = self.requeue()
        if time.monotonic() - self._scanned_at >= self._scan_seconds:
            count += self.scan()
            self._scanned_at = time.monotonic()
        return count

    def requeue(self) -> int:
        """Open runs that wait too long, or whose worker is gone."""
        ledger = self._parts.ledger
        count = sum(ledger.requeue(due) for due in ledger.due(limit=_PAGE))
        for due, worker in ledger.running():
            if is_provably_dead(worker):
                count += ledger.requeue(due, dead_worker=worker)
        return count

    def scan(self) -> int:
        """The whole inbox: what ended is said, what was deleted goes, what Redis does not know is opened again."""
        count = 0
        for owner, source in inbox.sources(self._parts.store):
            record = inbox.read(self._parts.store, owner, source)
            if record is None:
                continue
            past = outcome(self._parts.store, owner, source)
            if past.deleted:
                bury(self._parts, owner, source)
            elif past.result is not None and past.result.run >= record.run:
                conclude(self._parts, owner, record, past.result)
            elif not self._parts.ledger.accept(owner, record):
                continue
            count += 1
        return count


def loop(reconciler: Reconciler, stop: threading.Event, *, every_seconds: float) -> None:
    """Until `stop`. What is away is waited for."""
    while not stop.wait(every_seconds):
        try:
            count = reconciler.turn()
        except Unavailable as error:
            log.warning("cannot look: %s", error)
        else:
            if count:
                log.info("%d runs enqueued or finished", count)


def main() -> int:
    try:
        settings: Settings = load()
        logging.configure(settings.log_level, process="reconciler", form=settings.log_format)
        parts = runtime.make(settings)
    except (SettingsError, HeadraceError) as error:
        print(f"headrace: {error}", file=sys.stderr)  # noqa: T201
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    reconciler = Reconciler(parts, name=f"{socket.gethostname()}:{os.getpid()}", scan_seconds=settings.inbox_scan_seconds)
    print("reconciler ready", flush=True)  # noqa: T201 - a supervisor reads it
    loop(reconciler, stop, every_seconds=settings.reconcile_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
