"""The embedded stack, started as a user starts it, in a folder of its own; and a web server to import from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.client import Client
from tests.documents import pdf
from tests.servers import start

ROOT = Path(__file__).parents[1]


class Origin:
    """A web server on loopback. `/slow` does not answer before `let_go` is set: whoever fetches it is at work for so long."""

    def __init__(self) -> None:
        pages = {"/report.pdf": pdf(["Hello from the origin", "Second page"]), "/slow": b"slow words"}
        self.let_go = threading.Event()
        self.asked = threading.Semaphore(0)
        origin = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(self.path)
                if self.path == "/slow":
                    origin.asked.release()
                    origin.let_go.wait(60)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                try:
                    self.end_headers()
                    self.wfile.write(body or b"")
                except OSError:
                    pass  # whoever asked was killed

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Origin:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Stack:
    """`python -m devstack up` with free ports. `base_url` and `api_key` are read from what it prints."""

    command: tuple[str, ...] = ("devstack", "up")

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.base_url = ""
        self.api_key = ""
        self.output: list[str] = []
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self.environ = environ | {
            "HEADRACE_PORT": "0",
            "HEADRACE_FLOWER_PORT": "0",
            "HEADRACE_METRICS_PORT": "0",
            "HEADRACE_DATA_DIR": str(folder),
            "HEADRACE_LEASE_SECONDS": "3",
            "HEADRACE_GRACE_SECONDS": "2",
            "HEADRACE_INBOX_SCAN_SECONDS": "2",
            "HEADRACE_UPLOADS_PER_MINUTE": "1000000",
            "HEADRACE_REGISTRATIONS_PER_MINUTE": "1000000",
        }
        self.environ |= {f"HEADRACE_{name.upper()}": value for name, value in settings.items()}

    def start(self) -> Stack:
        self._ready = threading.Event()
        self.process = start([sys.executable, "-m", *self.command], cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        if not self._ready.wait(60) or not self.base_url:
            self.stop()
            raise RuntimeError("the stack did not start:\n" + "\n".join(self.output[-40:]))
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output.append(line.rstrip())
                if line.startswith("api key: "):
                    self.api_key = line.removeprefix("api key: ").strip()
                if line.startswith("ready: "):
                    self.base_url = line.removeprefix("ready: ").strip()
                    self._ready.set()
        self._ready.set()

    def stop(self) -> float:
        """Ends it as Ctrl-C does; seconds that it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        return time.monotonic() - started

    def client(self, user: str = "e2e") -> Client:
        return Client(self.base_url, self.api_key, user)

    def processes(self) -> dict[str, int]:
        """Name -> pid, of what the stack runs."""
        import json

        return {name: entry["pid"] for name, entry in json.loads((self.folder / "stack.json").read_text())["processes"].items()}
