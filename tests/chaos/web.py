"""The web server that is imported from: every address has a text of its own, but for those below /404/; below /held/ it comes when `let_go` is set."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.chaos.submission import page


class _Answer(BaseHTTPRequestHandler):
    web: Web

    def do_GET(self) -> None:
        if self.path.startswith("/held/"):
            self.web.held.add(self.path)
            self.web.let_go.wait(120)
        body = b"" if self.path.startswith("/404/") else page(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked was killed

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


class Web:
    def __init__(self) -> None:
        self.held: set[str] = set()
        self.let_go = threading.Event()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("Answer", (_Answer,), {"web": self}))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"
