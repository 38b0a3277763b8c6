"""Large documents through the whole stack: a PDF of 3,000 pages, and a text of 2 GiB."""

from __future__ import annotations

import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from bench.claim import Claim
from bench.proc import below, rss_mib
from bench.session import Session
from tests.client import Client, until_closed
from tests.documents import pdf
from tests.stack import Stack

_GIB = 1024**3
_LINE = "Each page has as many lines as a page of a book, and each line as many words."
_PAGE = "\n".join([_LINE] * 40)
_LONG_SECONDS = 15.0
_TEXT_MIB = 300.0


def run(session: Session) -> Iterator[Claim]:
    session.leave()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", max_upload_bytes=str(4 * _GIB)).start()
        try:
            with stack.client("bench") as client:
                yield from _long(client, 300 if session.quick else 3000)
                yield from _large(stack, client, _GIB // 16 if session.quick else 2 * _GIB)
        finally:
            stack.stop()


def _long(client: Client, pages: int) -> Iterator[Claim]:
    data = pdf([_PAGE] * pages)
    started = time.monotonic()
    end, progress = _through(client, "long.pdf", io.BytesIO(data))
    seconds = time.monotonic() - started
    if end.get("result", {}).get("pages") != pages:
        raise RuntimeError(f"{end}")
    told = [event["stage-progress"] for event in progress if event["stage"] == "extract"]
    note = f"{len(told)} times its progress was told meanwhile"
    yield Claim(f"PDF of {pages} pages: from the POST to success", seconds, "s", bound=_LONG_SECONDS, note=note)


def _large(stack: Stack, client: Client, size: int) -> Iterator[Claim]:
    with _Tree(stack.process.pid) as tree:
        end, _ = _through(client, "large.txt", _Text(size))
    if end["status"] != "success" or not end["result"]["text"]["truncated"]:
        raise RuntimeError(f"{end}")
    note = f"the largest process has {tree.largest_mib:.0f} MiB"
    yield Claim(f"text of {size // 1024**2} MiB: memory of all processes of the stack grows by", tree.growth_mib, "MiB", bound=_TEXT_MIB, note=note)


def _through(client: Client, name: str, body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    channel = client.register()
    with client.socket(channel) as socket:
        sending = threading.Thread(target=client.upload, args=(channel, body), kwargs={"filename": name})
        sending.start()
        events = until_closed(socket, seconds=300)
        sending.join()
    return events[-1], [event for event in events if event["event"] == "source.progress"]


class _Text(io.RawIOBase):
    """So many bytes of text, made as they are read."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0
        self._line = (_LINE + "\n").encode() * 4096

    def read(self, size: int = -1) -> bytes:
        count = min(self._size - self._at, len(self._line) if size < 0 else min(size, len(self._line)))
        self._at += count
        return self._line[:count]

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._size + offset if whence == io.SEEK_END else self._at + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class _Tree:
    """What all processes below one have of memory together, and the largest of them, at their highest in the block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self.growth_mib = self.largest_mib = 0.0

    def __enter__(self) -> Self:
        self._before = sum(self._sizes())
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            sizes = self._sizes()
            self.growth_mib = max(self.growth_mib, sum(sizes) - self._before)
            self.largest_mib = max(self.largest_mib, *sizes)

    def _sizes(self) -> list[float]:
        sizes = []
        for pid in below(self._pid):
            with suppress(OSError, ProcessLookupError):  # it has ended
                sizes.append(rss_mib(pid))
        return sizes
