"""One object on its way into a folder, in parts."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters import durable
from app.adapters.parts import Parts
from app.domain.errors import Unavailable


class FolderTransfer:
    """Parts go to their places in one file. Its descriptor stays open, so that no error of writing back is lost before the fsync."""

    def __init__(self, temp: Path, fd: int, part_bytes: int, parts: Parts[None], *, publish: Callable[[], object]) -> None:
        self._temp, self._part_bytes, self._parts, self._publish = temp, part_bytes, parts, publish
        self._fd: int | None = fd
        self._lock = threading.Lock()
        self._done = False

    def put_part(self, number: int, body: bytes | bytearray | memoryview) -> None:
        self._parts.check(number, len(body))
        with disk_refusals():
            with self._lock:
                fd = os.dup(self._open())  # ours: after an abort the number might be another file's
            try:
                write_at(fd, body, (number - 1) * self._part_bytes)
            finally:
                os.close(fd)
        self._parts.add(number, len(body), None)

    def complete(self) -> None:
        with disk_refusals(), self._lock:
            if self._done:
                return
            fd = self._open()
            self._parts.in_order()
            durable.sync(fd)
            self._publish()
            self._done = True
            self._close()

    def abort(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._close()
            if not self._done:
                self._temp.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._fd is None:
            raise Unavailable("storage_failed", "the transfer was aborted")
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


def write_at(fd: int, body: bytes | bytearray | memoryview, offset: int) -> None:
    rest = memoryview(body)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


@contextmanager
def disk_refusals() -> Iterator[None]:
    """What the disk says, as Unavailable."""
    try:
        yield
    except OSError as error:
        raise Unavailable("storage_failed", f"the storage folder refuses: {error.strerror or 'error'}") from error
