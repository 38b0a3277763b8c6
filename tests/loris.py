"""Slow clients: connections that say nothing, heads that never end, and bodies of which a byte comes now and then."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
import uuid
from typing import Self

_PAUSE_SECONDS = 0.2


class Loris:
    """All of them are open and at it within the `with`. `ended` counts those that the server has closed, `answered` what it said before to bodies."""

    def __init__(self, port: int, key: str, *, idle: int, half: int, bodies: int) -> None:
        self._port, self._key = port, key
        self._counts = {"idle": idle, "half": half, "bodies": bodies}
        self.ended = dict.fromkeys(self._counts, 0)
        self.answered: list[bytes] = []
        self._stop = threading.Event()
        self._held: dict[socket.socket, tuple[str, bytes]] = {}
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        for kind, count in self._counts.items():
            for _ in range(count):
                made = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                made.sendall(self._first(kind))
                made.setblocking(False)
                self._held[made] = kind, b""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for each in self._held:
            each.close()

    def _first(self, kind: str) -> bytes:
        if kind == "idle":
            return b""
        head = f"POST /public/sources/upload-source HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {self._key}\r\nX-User-ID: slow-{uuid.uuid4()}\r\n"
        if kind == "half":
            return head.encode()
        head += "Content-Type: multipart/form-data; boundary=mark\r\nContent-Length: 1000000\r\n\r\n"
        form = f'--mark\r\nContent-Disposition: form-data; name="ws-uuid"\r\n\r\n{uuid.uuid4()}\r\n--mark\r\nContent-Disposition: form-data; name="source-uuid"\r\n\r\n'
        form += f'{uuid.uuid4()}\r\n--mark\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        return (head + form).encode()

    def _run(self) -> None:
        with selectors.DefaultSelector() as watch:
            for each in self._held:
                watch.register(each, selectors.EVENT_READ)
            due = time.monotonic()
            while not self._stop.is_set():
                for key, _ in watch.select(_PAUSE_SECONDS):
                    self._read(watch, key.fileobj)  # type: ignore[arg-type]
                if time.monotonic() >= due:
                    due = time.monotonic() + _PAUSE_SECONDS
                    for each, (kind, _) in self._held.items():
                        if kind == "bodies":
                            with contextlib.suppress(OSError):
                                each.send(b"x")

    def _read(self, watch: selectors.BaseSelector, each: socket.socket) -> None:
        kind, before = self._held[each]
        try:
            read = each.recv(65536)
        except ConnectionResetError:
            read = b""
        if read:
            self._held[each] = kind, before + read
            return
        watch.unregister(each)
        del self._held[each]
        each.close()
        self.ended[kind] += 1
        if kind == "bodies":
            self.answered.append(before.partition(b"\r\n")[0])
