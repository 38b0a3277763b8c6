"""CPU time, memory and cores of another process, from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """User and system time of all its threads so far, in ticks of 10 ms; with that of `children` that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11 : 15 if children else 13]) / _TICKS


def below(*pids: int) -> list[int]:
    """These processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    for found in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = found.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        children.setdefault(int(fields[1]), []).append(int(found.parent.name))
    family = list(pids)
    for pid in family:  # grows as it goes
        family += children.get(pid, [])
    return family


@contextmanager
def apart(some: Iterable[int], others: Iterable[int]) -> Iterator[None]:
    """Some processes have the first core, the others the rest, until the block ends. Where there is one core, or no such call, nothing."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield
        return
    where = dict.fromkeys(some, cores[:1]) | dict.fromkeys(others, cores[1:])
    try:
        for pid in where:
            _move(pid, where[pid])
        yield
    finally:
        for pid in where:
            _move(pid, cores)


def _move(pid: int, cores: Sequence[int]) -> None:
    """All its threads; those that it makes later are where the one is that makes them. One that has ended: nothing."""
    for thread in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def rss_bytes(pid: int) -> int:
    """Counted page by page, where `rss_mib` may be off by some hundred KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


class Watch:
    """What a process used from `with` to the end of its block: `cpu_seconds`, and `growth_mib` at its highest."""

    def __init__(self, pid: int, *, every_seconds: float = 0.02) -> None:
        self._pid, self._every = pid, every_seconds
        self._stop = threading.Event()
        self.cpu_seconds = self.growth_mib = 0.0

    def __enter__(self) -> Self:
        self._rss, self._cpu = rss_mib(self._pid), cpu_seconds(self._pid)
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.cpu_seconds = cpu_seconds(self._pid) - self._cpu

    def _look(self) -> None:
        while not self._stop.wait(self._every):
            self.growth_mib = max(self.growth_mib, rss_mib(self._pid) - self._rss)
