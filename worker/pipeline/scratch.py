"""The folder in which an attempt works. It goes with the attempt; what a killed process left, the next process takes away.

Whoever works in a folder holds a lock on it, which dies with the process: so nobody has to guess who is alive, and hosts may share
the place. A lock on the place itself keeps `sweep` from a folder that is made and not yet locked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "headrace-attempt-"


@contextmanager
def folder(place: Path) -> Iterator[Path]:
    """A new folder below `place`, for as long as the block runs. Raises OSError."""
    with _locked(place, fcntl.LOCK_SH):
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        held = os.open(made, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def sweep(place: Path) -> int:
    """Removes the folders in which nobody works any more; how many. One listing of `place`."""
    removed = 0
    with _locked(place, fcntl.LOCK_EX):
        for left in place.glob(f"{_PREFIX}*"):
            with suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left)
                removed += 1
    return removed


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Raises BlockingIOError when somebody has the lock and `how` does not wait."""
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, how)
        yield
    finally:
        os.close(held)
