"""`python -m worker.reconcile`: until it is told to stop. `--sweep`: one whole sweep, now. `--once`: one look at all that is open."""

from __future__ import annotations

import argparse
import json
import logging as stdlib_logging
import os
import signal
import socket
import sys
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from prometheus_client import start_http_server

from app import wiring
from app.adapters.redis.fleet import Presence, this_process
from app.domain.errors import HeadraceError, Unavailable
from app.settings import Settings, SettingsError, load
from app.telemetry import logging
from app.telemetry.metrics import RECONCILED
from worker import runtime
from worker.pipeline.run import Parts
from worker.reconcile.daily import Daily
from worker.reconcile.reconciler import Reconciler
from worker.reconcile.sweep import Ages, Sweep

log = stdlib_logging.getLogger("reconciler")


def loop(reconciler: Reconciler, stop: threading.Event, *, every_seconds: float) -> None:
    """Until `stop`. What is away is waited for."""
    while True:
        attempt(reconciler)
        if stop.wait(every_seconds):
            return


def attempt(reconciler: Reconciler) -> Counter[str]:
    """One turn, counted and told; nothing when something is away."""
    try:
        done = +(reconciler.turn() or Counter())
    except Unavailable as error:
        log.warning("cannot look: %s", error)
        return Counter()
    for what, count in done.items():
        RECONCILED.labels(what).inc(count)
    if done:
        log.info("%s", ", ".join(f"{count} {what}" for what, count in sorted(done.items())))
    return done


def ages(settings: Settings, orphan_seconds: float) -> Ages:
    days = settings.retention_days
    return Ages(timedelta(seconds=orphan_seconds), timedelta(days=settings.tombstone_days), timedelta(days=days) if days else None)


def make(settings: Settings, parts: Parts) -> Reconciler:
    return Reconciler(
        parts,
        name=f"{socket.gethostname()}:{os.getpid()}",
        scan_seconds=settings.inbox_scan_seconds,
        patience_seconds=settings.lease_seconds / 3,  # a heartbeat comes four times in a lease
        daily=Daily(parts, ages(settings, settings.orphan_seconds), every=timedelta(seconds=settings.sweep_seconds)),
    )


def sweep(settings: Settings, parts: Parts, older_than_seconds: float | None) -> int:
    """All of it at once, beside whoever leads; prints what was removed, by kind."""
    orphan_seconds = settings.orphan_seconds if older_than_seconds is None else older_than_seconds
    swept = Sweep(parts, ages(settings, orphan_seconds), now=datetime.now(UTC)).run()
    print(json.dumps(dict(sorted((+swept).items()))))  # noqa: T201
    return 0


def once(parts: Parts) -> int:
    """Turns until the inbox was looked through; prints what was done, by kind. Raises Unavailable. 1: another one leads."""
    reconciler = Reconciler(parts, name=f"{socket.gethostname()}:{os.getpid()}", scan_seconds=float("inf"))
    done: Counter[str] = Counter()
    while (turned := reconciler.turn()) is not None:
        done += turned
        if not reconciler.is_scanning:
            print(json.dumps(dict(sorted(done.items()))))  # noqa: T201
            return 0
    print("another reconciler leads", file=sys.stderr)  # noqa: T201
    return 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.reconcile", description="The reconciler of Headrace.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="look at all that is open once, and end")
    how.add_argument("--sweep", action="store_true", help="remove all that nobody needs any more, and end; says how much of each kind")
    parser.add_argument("--older-than-seconds", type=float, help="with --sweep: instead of HEADRACE_ORPHAN_SECONDS. 0 only when nothing is uploaded or at work")
    options = parser.parse_args(arguments)
    try:
        settings = load()
        logging.configure(settings.log_level, process="reconciler", form=settings.log_format)
        parts = runtime.make(settings)
        if options.sweep:
            return sweep(settings, parts, options.older_than_seconds)
        if options.once:
            return once(parts)
    except (SettingsError, HeadraceError) as error:
        print(f"headrace: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if settings.reconciler_metrics_port:
        with suppress(OSError):  # another one of this machine has it
            start_http_server(settings.reconciler_metrics_port, "127.0.0.1")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: stop.set())
    reconciler = make(settings, parts)
    attempt(reconciler)
    courier = runtime.courier(settings, parts.store)
    telling = partial(courier.run, lambda: reconciler.leads, stop, every_seconds=settings.webhook_seconds)
    threading.Thread(target=telling, name="courier", daemon=True).start()
    print("reconciler ready", flush=True)  # noqa: T201 - a supervisor reads it
    with Presence(wiring.fleet(settings), this_process("reconciler")):
        loop(reconciler, stop, every_seconds=settings.reconcile_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
