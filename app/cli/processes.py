"""Processes of this machine, named so that a reused process id is never taken for the old process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Snapshot:
    pid: int
    parent: int
    started: str
    """Opaque; with the pid it names one process, until the next boot."""
    cpu_seconds: float
    command: str


def look(pid: int) -> Snapshot | None:
    """The process as it is now, or None when there is none (a zombie is none)."""
    return _from_proc(pid) if sys.platform == "linux" else _from_ps().get(pid)


def descendants(pid: int) -> list[Snapshot]:
    """Children, their children, and so on."""
    every = list(_all())
    found: list[Snapshot] = []
    parents = {pid}
    while parents:
        born = [each for each in every if each.parent in parents]
        found += born
        parents = {each.pid for each in born}
    return found


def _all() -> list[Snapshot]:
    if sys.platform != "linux":
        return list(_from_ps().values())
    pids = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [each for each in map(_from_proc, pids) if each]


def _from_proc(pid: int) -> Snapshot | None:
    # Read from /proc, since slim containers have no ps.
    folder = Path("/proc") / str(pid)
    try:
        stat = (folder / "stat").read_text(errors="replace")
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    # The second field is the name in parentheses, which may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    return Snapshot(pid, int(fields[1]), fields[19], (int(fields[11]) + int(fields[12])) / ticks, command)


def _from_ps() -> dict[int, Snapshot]:
    output = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat=,time=,lstart=,command="],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    every = {}
    for line in output.splitlines():
        # lstart is five words: Sun Nov 22 20:57:11 2026
        pid, parent, state, cpu, *rest = line.split(maxsplit=9)
        if not state.startswith("Z"):
            every[int(pid)] = Snapshot(int(pid), int(parent), " ".join(rest[:5]), _seconds(cpu), rest[5] if len(rest) > 5 else "")
    return every


def _seconds(clock: str) -> float:
    """[[days-]hours:]minutes:seconds, as ps writes it."""
    days, _, rest = clock.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86400 * int(days or 0)
