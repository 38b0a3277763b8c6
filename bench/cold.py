"""What a start costs: imports in a fresh interpreter, and the whole embedded stack until it says `ready:`. For information."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.claim import Claim
from bench.session import Session
from tests.stack import ROOT, Stack

_MODULES = ("app.main", "worker.celery_app")
_IMPORT = """
import time; started = time.perf_counter(); import {module}; took = time.perf_counter() - started
from bench.proc import rss_mib; import os; print(took, rss_mib(os.getpid()))
"""


def run(session: Session) -> Iterator[Claim]:
    session.leave()
    times = 2 if session.quick else 7
    for module in _MODULES:
        took, rss = zip(*[imported(module) for _ in range(times)], strict=True)
        bare = median(imported("json")[1] for _ in range(times))
        yield Claim(f"import {module}", 1000 * median(took), "ms", note=f"{median(rss):.0f} MiB resident; a bare interpreter {bare:.0f} MiB")
    starts = [started(Path(folder)) for folder in _folders(1 if session.quick else 5)]
    yield Claim("embedded stack, to ready", median(starts), "s", note="new data folder, warm page cache")


def imported(module: str) -> tuple[float, float]:
    """Seconds, and MiB of the process afterwards."""
    done = subprocess.run([sys.executable, "-c", _IMPORT.format(module=module)], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, mib = done.stdout.split()
    return float(seconds), float(mib)


def started(folder: Path) -> float:
    stack = Stack(folder)
    began = time.perf_counter()
    stack.start()
    try:
        return time.perf_counter() - began
    finally:
        stack.stop()


def _folders(count: int) -> Iterator[str]:
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
            yield f"{folder}/data"
