"""Ends processes when the one that started them has died without doing so: however it died, wherever, and with all that they started themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from app.cli import processes

ROOT = Path(__file__).resolve().parent.parent


class Warden:
    """Process ids go down a pipe to a process of its own. Nobody else has the pipe's other end, so it ends with us."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", 0)
        with os.fdopen(reading, "rb", 0) as end:
            # In a session of its own: Ctrl-C is for us. Without site-packages: it is there at once, and small.
            self._process = subprocess.Popen([sys.executable, "-S", "-m", "devstack.warden"], cwd=ROOT, stdin=end, start_new_session=True)

    def hold(self, pid: int) -> None:
        """From now on the process, and its group if it leads one, is killed when we die. Call it at the start; an end need not be told."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed it: those who start and stop go on
            self._pipe.write(b"%d\n" % pid)

    def close(self) -> None:
        """Kills what is still there of all that it holds."""
        self._pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _watch(lines: Iterable[str]) -> None:
    held = {}
    for line in lines:
        pid = int(line)
        held[pid] = _started(pid)
    for pid, started in held.items():
        # A leader may be gone before its group, and no new process gets its number so long as there is one of the group.
        if _started(pid) in {None, started}:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
                    kill(pid, signal.SIGKILL)


def _started(pid: int) -> str | None:
    seen = processes.look(pid)
    return seen.started if seen else None


if __name__ == "__main__":
    _watch(sys.stdin)
