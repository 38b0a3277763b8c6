"""`headrace dev kill`: SIGKILL to a process of the embedded stack, to see that nothing is lost by it."""

from __future__ import annotations

import os
import signal
import time
from enum import StrEnum
from pathlib import Path

from app.cli import processes, stack
from app.cli.connection import Failure

_SAMPLE_SECONDS = 0.3
_AT_WORK = 0.5
"""Of one core; at rest it is some hundredths."""
_WAIT_SECONDS = 60.0


class Victim(StrEnum):
    WORKER = "worker"
    CHILD = "child"
    API = "api"
    RECONCILER = "reconciler"


def kill(folder: Path, victim: Victim, *, at_work: bool = False) -> str:
    """Kills the busiest of its kind, and only what stack.json names and what still is that process. Answers what was killed.

    `at_work`: waits for one that is, a minute at most.
    """
    running = stack.read(folder)
    if running is None:
        raise Failure(f"no stack runs in {folder}")
    kind = "worker" if victim is Victim.CHILD else victim.value
    living = {name: process for name, process in running.processes.items() if process.kind == kind and process.look()}
    if not living:
        raise Failure(f"no {kind} runs at the moment")
    name = _busiest({name: process.pid for name, process in living.items()}, _AT_WORK if at_work else 0)
    process = living[name]
    if victim is Victim.CHILD:
        # The pool's child is a copy of its parent; a helper that it started is not.
        own = process.look()
        children = [each for each in processes.descendants(process.pid) if own and each.parent == process.pid and each.command == own.command]
        if not children:
            raise Failure(f"{name} has no child at the moment")
        os.kill(children[0].pid, signal.SIGKILL)
        return f"killed the child of {name} (process {children[0].pid})"
    count = len(processes.descendants(process.pid))
    # Each part leads its own group, so this is the whole of it and nothing else.
    os.killpg(process.pid, signal.SIGKILL)
    return f"killed {name} (process {process.pid}" + (f" and its {count} below)" if count else ")")


def _busiest(pids: dict[str, int], least: float) -> str:
    """By the processor time that each and its descendants use while we look; one that uses `least` of a core. Raises Failure."""
    if len(pids) == 1 and not least:
        return next(iter(pids))
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        before = {name: _cpu(pid) for name, pid in pids.items()}
        time.sleep(_SAMPLE_SECONDS)
        used = {name: (_cpu(pid) - before[name]) / _SAMPLE_SECONDS for name, pid in pids.items()}
        name = max(pids, key=lambda name: used[name])
        if used[name] >= least:
            return name
    raise Failure(f"none of them was at work in {_WAIT_SECONDS:.0f} seconds")


def _cpu(pid: int) -> float:
    own = processes.look(pid)
    return sum(each.cpu_seconds for each in [*([own] if own else []), *processes.descendants(pid)])
