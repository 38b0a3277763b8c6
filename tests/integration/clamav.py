"""Debian's clamd with a signature of our own, on a free port; and one that says what a test scripts."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port
from tests.servers import start

VIRUS = b"a harmless line that the tests call a virus"
NAME = "Headrace.Test.UNOFFICIAL"
STREAM_BYTES = 2 << 20


class NotInstalled(Exception):
    pass


class RealClamd:
    """Knows `VIRUS` only, and takes streams of up to STREAM_BYTES."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
        if found is None:
            raise NotInstalled("clamd is not installed (Debian: clamav-daemon)")
        self.folder = folder
        self.port = free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        (folder / "db").mkdir()
        (folder / "db/local.ndb").write_text(f"Headrace.Test:0:*:{VIRUS.hex()}\n")
        (folder / "clamd.conf").write_text(
            f"Foreground yes\nDatabaseDirectory {folder}/db\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\nStreamMaxLength {STREAM_BYTES}\n"
            f"TemporaryDirectory {folder}\nAlertExceedsMax yes\nMaxFiles 10\nConcurrentDatabaseReload no\n"
        )
        self._command = [found, "--config-file", str(folder / "clamd.conf")]

    def __enter__(self) -> RealClamd:
        with (self.folder / "log").open("wb") as log:
            self._process = start(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._is_up():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)
        return self

    def _is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as clamd:
                clamd.sendall(b"zPING\0")
                return clamd.recv(10) == b"PONG\0"
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ScriptedClamd:
    """Reads a stream as clamd does and hands it to `verdict`, which answers bytes; b"": the connection is closed."""

    def __init__(self, verdict: Callable[[bytes], bytes]) -> None:
        self.verdict = verdict
        self.stops_reading_at: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                with contextlib.suppress(OSError, struct.error):  # the other side has gone
                    self._answer(client, stream)

    def _answer(self, client, stream) -> None:
        assert stream.read(10) == b"zINSTREAM\0"
        body = b""
        while length := struct.unpack(">I", stream.read(4))[0]:
            body += stream.read(length)
            if self.stops_reading_at is not None and len(body) > self.stops_reading_at:
                break
        client.sendall(self.verdict(body))

    def __enter__(self) -> ScriptedClamd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
