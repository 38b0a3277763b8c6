"""A proxy before an S3 that spoils chosen answers: the request is heard, its answer is not."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code></Error>"


class FaultyProxy:
    """Forwards all. While `faults` lasts, a request that `chosen` picks is answered with the next (status, body, is it forwarded first)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.faults: list[tuple[int, bytes, bool]] = []
        self.chosen: Callable[[str, str], bool] = lambda method, path: False
        self.dropped: set[str] = set()
        """Header names that do not reach the server."""
        self.seen: list[tuple[str, str, dict[str, str]]] = []


@contextmanager
def faulty_proxy(target: str):
    host = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            proxy.seen.append((self.command, self.path, headers))
            fault = proxy.faults.pop(0) if proxy.faults and proxy.chosen(self.command, self.path) else None
            status, answer, kind = 0, b"", {}
            if fault is None or fault[2]:
                upstream = http.client.HTTPConnection(host.hostname, host.port, timeout=20)
                upstream.request(self.command, self.path, body, {k: v for k, v in headers.items() if k not in {"connection", "expect"} | proxy.dropped})
                response = upstream.getresponse()
                status, answer, kind = response.status, response.read(), dict(response.getheaders())
                upstream.close()
            if fault is not None:
                status, answer, kind = fault[0], fault[1], {}
            self.send_response_only(status)
            length = kind.get("Content-Length", str(len(answer))) if self.command == "HEAD" else str(len(answer))
            for name, value in kind.items():
                if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815  http.server looks for these names

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...  # a client that is closed resets its connections

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
