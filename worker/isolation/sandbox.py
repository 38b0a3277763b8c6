"""What the process that reads one file is held to. Called in it, once, before it opens the file."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from headrace_plugin import Limits
from worker.isolation import landlock, seccomp

_DESCRIPTORS: Final = 64
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE")


def environment(folder: Path | str) -> dict[str, str]:
    """What a parser may know of its surroundings. One thread for those who would start one for each core."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def confine(limits: Limits, folder: Path, *, network: bool = False) -> None:
    """Limits of memory, CPU time, file size and descriptors, no environment, end with the parent.

    Where the kernel knows how, no network, and nothing to write to but the folder. The wall clock is the other side's: it kills the group.
    """
    os.environ.clear()
    os.environ.update(environment(folder))
    os.chdir(folder)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    _limit(resource.RLIMIT_CORE, 0)
    # The soft limit's signal ends it; the second one more is for a process that takes no notice.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    if sys.platform == "linux":
        seccomp.LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        seccomp.LIBC.prctl(_PR_SET_DUMPABLE, 0)
        with suppress(OSError):  # if memory runs out it is this one that goes
            Path("/proc/self/oom_score_adj").write_text("1000")
    landlock.confine(folder)
    if not network:
        seccomp.confine()


def _limit(kind: int, value: int) -> None:
    """As far as the system goes along: macOS does not know all of them."""
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))
