"""The embedded stack, started as a user starts it, in a folder of its own; and a web server to import from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import ClassVar

from tests.client import Client
from tests.documents import pdf
from tests.ports import free_port
from tests.servers import start
from tests.site import Parts, Site

ROOT = Path(__file__).parents[1]


class Origin(Site):
    """A web server to import from. `/slow` does not answer before `let_go` is set: whoever fetches it is at work for so long.

    `/drip` answers, with a byte a second until then: whoever gives up a silent server does not give up this one.
    """

    DRIPS = 10_000
    _PAGES: ClassVar = {"/report.pdf": pdf(["Hello from the origin", "Second page"]), "/slow": b"slow words"}

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.fetched: list[str] = []

    def answer(self, path: str, headers: Message, sent: bytes) -> tuple[int, bytes | Parts]:
        self.fetched.append(path)
        if path in {"/slow", "/drip"}:
            self.asked.release()
        if path == "/drip":
            return 200, Parts(self.DRIPS, self._drip())
        if path == "/slow":
            self.let_go.wait(60)
        body = self._PAGES.get(path)
        return (404, b"") if body is None else (200, body)

    def _drip(self) -> Iterator[bytes]:
        left = self.DRIPS
        while not self.let_go.wait(1) and left > 1:
            left -= 1
            yield b"."
        yield b"." * left


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
            "HEADRACE_FLOWER_PORT": str(free_port()),
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
