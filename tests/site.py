"""A web server on 127.0.0.1. What it answers is up to who inherits from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True, slots=True)
class Parts:
    """A body that comes in parts."""

    length_bytes: int
    """Of all of them."""
    each: Iterator[bytes]


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, sent: bytes) -> None:
        status, body = self.site.answer(self.path, self.headers, sent)
        parts = body if isinstance(body, Parts) else Parts(len(body), iter([body]))
        try:
            self.send_response(status)
            if self.site.content_type:
                self.send_header("Content-Type", self.site.content_type)
            self.send_header("Content-Length", str(parts.length_bytes))
            self.end_headers()
            for part in parts.each:
                self.wfile.write(part)
        except OSError:
            pass  # whoever asked was killed, or has gone

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """Serves from `with` to the end of its block. Then `let_go` is set, so that an answer which waits for it comes."""

    content_type: str | None = None

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def answer(self, path: str, headers: Message, sent: bytes) -> tuple[int, bytes | Parts]:
        """Status and body. Called in a thread of its own."""
        raise NotImplementedError

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
