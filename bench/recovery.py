"""From the SIGKILL of a process at work to the moment when another one is at the same source, with the terms of production."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import RedisLedger
from bench.claim import Claim
from bench.session import Session
from tests.servers import Valkey
from tests.stack import Origin, Stack

_TERMS = {"lease_seconds": "30", "grace_seconds": "10", "inbox_scan_seconds": "60", "workers": "3", "import_allow_nets": "127.0.0.0/8"}
_BY_LEASE_SECONDS = 35.0
_BY_CHILD_SECONDS = 2.0


class Elsewhere(Stack):
    command = ("tests.chaos.up", "bench.elsewhere")


def run(session: Session) -> Iterator[Claim]:
    session.leave()
    times = 1 if session.quick else 5
    here = list(_recoveries(Stack, _child, times))
    yield Claim("a pool child is killed, work goes on", max(here), "s", bound=_BY_CHILD_SECONDS, note=f"longest of {times}, median {median(here):.2f}")
    here = list(_recoveries(Stack, _worker, times))
    yield Claim("a worker is killed, same host, work goes on", max(here), "s", bound=_BY_LEASE_SECONDS, note=f"longest of {times}, median {median(here):.2f}")
    far = list(_recoveries(Elsewhere, _worker, times))
    yield Claim("a worker is killed, another host, work goes on", max(far), "s", bound=_BY_LEASE_SECONDS, note=f"longest of {times}, median {median(far):.1f}")


def _child(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _worker(pid: int) -> None:
    os.killpg(os.getpgid(pid), signal.SIGKILL)  # each part of the stack leads its own group


def _recoveries(kind: type[Stack], kill: Callable[[int], None], times: int) -> Iterator[float]:
    with Origin() as origin, Valkey(aof=True) as redis, tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        ledger = RedisLedger(BlockingCommands(RedisLocation(redis.url)), Calls(Keyspace("headrace:"), Terms()))
        stack = kind(Path(folder), redis_url=redis.url, import_ports=str(origin.port), **_TERMS)
        stack.start()
        try:
            with stack.client() as client:
                for _ in range(times):
                    source = client.upload(client.register(), url=origin.url("/slow"))
                    assert origin.asked.acquire(timeout=60)
                    ((_, holder),) = ledger.running()
                    killed = time.monotonic()
                    kill(int(holder.split("|")[1]))
                    assert origin.asked.acquire(timeout=120), "nobody took it up"
                    yield time.monotonic() - killed
                    origin.let_go.set()
                    client.wait(source)
                    origin.let_go.clear()
        finally:
            origin.let_go.set()
            stack.stop()
            ledger.close()
