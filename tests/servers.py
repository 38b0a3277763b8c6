"""Real servers on 127.0.0.1 for tests. Each is started by the test that needs it, and ended by its own process id; none outlives us."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from devstack.valkey import binary
from devstack.warden import Warden
from tests.ports import free_port

T = TypeVar("T")

_START_SECONDS = 20.0


def eventually(what: Callable[[], T], *, seconds: float = 20) -> T:
    """The first true answer of `what`, asked again and again. Fails the test when there is none in so long."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found


@cache
def _warden() -> Warden:
    warden = Warden()
    atexit.register(warden.close)
    return warden


def start(command: Sequence[str], **options: Any) -> subprocess.Popen:
    """A `Popen` for whoever ends it himself. It ends with us too, when we are killed."""
    process = subprocess.Popen(command, **options)
    _warden().hold(process.pid)
    return process


class Valkey:
    """A real server with a folder of its own: `with Valkey() as server: Redis.from_url(server.url)`.

    It keeps its port and its folder over `kill()` and `start()`; what it remembers then is up to `aof`.
    """

    def __init__(self, *, aof: bool = False) -> None:
        self._aof = aof
        self._folder = Path(tempfile.mkdtemp(prefix="headrace-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def client(self, **options: object) -> Redis:
        """A plain client, with str answers. Close it, or use it in a `with`."""
        return Redis(port=self.port, **{"decode_responses": True, "socket_timeout": 10, **options})  # type: ignore[arg-type]

    def start(self) -> None:
        """Returns when it answers."""
        with (self._folder / "log").open("ab") as log:
            # With its signals as ours: SIGXFSZ ignored, so that a test may bound what it writes.
            self._process = start(self._command(), stdout=log, stderr=log, cwd=self._folder, restore_signals=False)
        if not self._answers():
            self.stop()
            raise RuntimeError(f"valkey does not start:\n{(self._folder / 'log').read_text()[-2000:]}")

    def kill(self, *, lose_bytes: int = 0) -> None:
        """SIGKILL: what was not on disk is gone. The system keeps what the process had written, other than when a machine dies: then so much of the log is gone."""
        self._end(signal.SIGKILL)
        if lose_bytes:
            latest = max((self._folder / "appendonlydir").glob("*.incr.aof"), key=lambda file: int(file.name.split(".")[-3]))
            os.truncate(latest, max(0, latest.stat().st_size - lose_bytes))

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it holds its connections, and answers nobody until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        self._end(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "everysec"] if self._aof else ["--appendonly", "no"]
        return [
            str(binary()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", "",
            "--maxmemory-policy", "noeviction", *durable,
        ]  # fmt: skip

    def _answers(self) -> bool:
        """That it is ours which answers, and not another server that was faster on the port."""
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        with self.client() as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                with suppress(RedisError):
                    if client.info("server")["process_id"] == self._process.pid:
                        return True
                time.sleep(0.01)
        return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
