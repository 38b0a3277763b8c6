"""An API process alone, without a stack around it, and an upload whose client sends as much as the test says."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path

import httpx

from tests.client import eventually
from tests.ports import free_port
from tests.servers import start
from tests.stack import ROOT

KEY = "hr_a_key_of_this_test"


class Body:
    """An upload whose client sends as much as the test says. A file of 20 MiB: the store has parts of it before it is whole."""

    SIZE = 20 * 1024 * 1024
    FIRST = 12 * 1024 * 1024

    def __init__(self, api: ApiProcess) -> None:
        self.source = str(uuid.uuid4())
        head = (
            f'--mark\r\nContent-Disposition: form-data; name="ws-uuid"\r\n\r\n{uuid.uuid4()}\r\n'
            f'--mark\r\nContent-Disposition: form-data; name="source-uuid"\r\n\r\n{self.source}\r\n'
            '--mark\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        ).encode()
        self._end = b"\r\n--mark--\r\n"
        self._socket = socket.create_connection(("127.0.0.1", api.port), timeout=60)
        self._socket.sendall(
            f"POST /public/sources/upload-source HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nX-User-ID: u\r\n"
            f"Content-Type: multipart/form-data; boundary=mark\r\nContent-Length: {len(head) + self.SIZE + len(self._end)}\r\n\r\n".encode()
        )
        self._socket.sendall(head + bytes(self.FIRST))

    def finish(self) -> bytes:
        """The first line of the answer."""
        self._socket.sendall(bytes(self.SIZE - self.FIRST) + self._end)
        return self.answer()

    def answer(self) -> bytes:
        """Empty when the connection ended without one."""
        with self._socket.makefile("rb") as lines:
            try:
                return lines.readline()
            except ConnectionResetError:
                return b""

    def close(self) -> None:
        self._socket.close()


class ApiProcess:
    def __init__(self, folder: Path, redis_url: str, prefix: str, **settings: str) -> None:
        self.store = folder / "store"
        self.port = free_port()
        ours = {
            "host": "127.0.0.1", "port": str(self.port), "metrics_port": "0", "redis_url": redis_url, "redis_prefix": prefix, "dev_key": KEY,
            "storage_url": self.store.as_uri(), "secret_keys": "s" * 32, "drain_seconds": "0", **settings,
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environ = kept | {f"HEADRACE_{name.upper()}": value for name, value in ours.items()}
        self.process = start([sys.executable, "-m", "app.main"], cwd=ROOT, env=environ)

    def __enter__(self) -> ApiProcess:
        eventually(self._is_ready)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def drafts(self) -> int:
        """Transfers that were begun and not ended."""
        return len(list((self.store / "+tmp").iterdir()))

    def objects(self) -> list[Path]:
        return [path for name in ("objects", "inbox") for path in (self.store / name).rglob("*") if path.is_file()]
