"""An API process that is told to stop: its sockets go elsewhere, or come back, and miss nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.client import eventually, milestones, until_closed
from tests.servers import Valkey, free_port
from tests.stack import ROOT, Origin, Stack

KEY = "hr_a_key_of_this_test"


def test_sockets_of_a_process_that_stops_are_told_so_and_go_on_where_they_were(tmp_path: Path) -> None:
    with Origin() as origin:
        stack = Stack(tmp_path / "stack", import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="1").start()
        try:
            with stack.client() as client, ExitStack() as opened:
                channel = client.register()
                url = f"ws{client.base_url.removeprefix('http')}/ws/{channel}"
                sockets = [opened.enter_context(connect(url, proxy=None)) for _ in range(3)]
                client.upload(channel, url=origin.url("/slow"))
                assert origin.asked.acquire(timeout=30)
                before = {each: json.loads(each.recv(timeout=30)) for each in sockets}
                assert {event["event"] for event in before.values()} == {"source.accepted"}

                stopped = stack.processes()["api1"]
                os.kill(stopped, signal.SIGTERM)
                for each in sockets:
                    with pytest.raises(ConnectionClosed) as closed:
                        while True:
                            each.recv(timeout=30)
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1012
                eventually(lambda: stack.processes().get("api1") not in (None, stopped))

                origin.let_go.set()
                eventually(lambda: client.http.get("/readyz").json()["status"] == "ok")
                with connect(f"{url}?after={before[sockets[0]]['event-id']}", proxy=None) as again:
                    rest = milestones(until_closed(again))
                told = [before[sockets[0]], *rest]
                assert [int(event["event-id"].partition(":")[2]) for event in told] == list(range(1, len(told) + 1))
                assert told[-1]["status"] == "success"
        finally:
            origin.let_go.set()
            stack.stop()


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
    def __init__(self, folder: Path, redis: Valkey, prefix: str, **settings: str) -> None:
        self.store = folder / "store"
        self.port = free_port()
        ours = {
            "host": "127.0.0.1", "port": str(self.port), "metrics_port": "0", "redis_url": redis.url, "redis_prefix": prefix, "dev_key": KEY,
            "storage_url": self.store.as_uri(), "secret_keys": "s" * 32, "drain_seconds": "0", **settings,
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environ = kept | {f"HEADRACE_{name.upper()}": value for name, value in ours.items()}
        self.process = subprocess.Popen([sys.executable, "-m", "app.main"], cwd=ROOT, env=environ)

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


def test_a_body_that_ends_in_time_is_accepted_by_the_process_that_stops(tmp_path: Path, valkey: Valkey, redis_prefix: str) -> None:
    with ApiProcess(tmp_path, valkey, redis_prefix, stop_seconds="60") as api, ExitStack() as opened:
        body = opened.enter_context(closing(Body(api)))
        eventually(lambda: api.drafts() == 1)
        api.process.terminate()
        eventually(lambda: _refuses(api.port))  # it has begun to stop
        assert body.finish().startswith(b"HTTP/1.1 200 ")
        assert api.process.wait(60) == -signal.SIGTERM  # as uvicorn ends
        assert (api.drafts(), len(api.objects())) == (0, 2)


def test_a_body_that_does_not_end_in_time_leaves_nothing(tmp_path: Path, valkey: Valkey, redis_prefix: str) -> None:
    with ApiProcess(tmp_path, valkey, redis_prefix, stop_seconds="1") as api, ExitStack() as opened:
        bodies = [opened.enter_context(closing(Body(api))) for _ in range(3)]
        eventually(lambda: api.drafts() == 3)
        api.process.terminate()
        assert api.process.wait(60) == -signal.SIGTERM  # as uvicorn ends
        assert {body.answer()[:12] for body in bodies} == {b"HTTP/1.1 503"}
        assert (api.drafts(), api.objects()) == (0, [])


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
