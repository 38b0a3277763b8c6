"""Making files and directory entries outlast a power cut."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

# On macOS fsync leaves the data in the drive's own cache; this does not.
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)
_SETTLED = stat.S_ISVTX


def sync(fd: int) -> None:
    """Returns when the file (or directory) is on the medium."""
    if _FULL_SYNC is not None:
        with contextlib.suppress(OSError):  # a file system that knows no such call
            fcntl.fcntl(fd, _FULL_SYNC)
            return
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(fd)
    finally:
        os.close(fd)


def settle(folder: Path, root: Path) -> None:
    """Returns when the names in `folder`, and the names of it and all above it up to `root`, are on the medium.

    A folder's sticky bit says that its own name is there already: it belongs to the inode, so it is right in every process, and goes
    when another one prunes the folder and makes it anew. A folder that has gone meanwhile counts as its parent.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        if folder == root:
            raise
        settle(folder.parent, root)
        return
    try:
        sync(fd)
        if folder != root and not os.fstat(fd).st_mode & _SETTLED:
            settle(folder.parent, root)
            with contextlib.suppress(PermissionError):  # another user's folder: its parents are synced each time
                os.fchmod(fd, _SETTLED | 0o700)
    finally:
        os.close(fd)
