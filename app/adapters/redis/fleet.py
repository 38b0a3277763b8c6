"""The fleet: which processes live, and what version each of them is. For `headrace doctor`; nothing depends on it."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, cast

from redis import Redis

from app.adapters.redis.client import script, unavailable
from app.adapters.redis.keys import Keyspace
from app.domain.errors import Unavailable
from app.domain.version import VERSION

_EVERY_SECONDS = 15
_FORGOTTEN_SECONDS = 60

Kind = Literal["api", "worker", "reconciler"]


@dataclass(frozen=True, slots=True)
class Process:
    kind: str
    version: str
    name: str
    """Host and process id."""


def this_process(kind: Kind) -> Process:
    return Process(kind, VERSION, f"{socket.gethostname()}:{os.getpid()}")


class Fleet:
    """Each method raises Unavailable."""

    def __init__(self, redis: Redis, keys: Keyspace) -> None:
        self._redis = redis
        self._keys = keys
        self._announce = redis.register_script(script("announce"))

    def announce(self, process: Process, *, seconds: int = _FORGOTTEN_SECONDS) -> None:
        """It lives for so long; 0: it stops."""
        with unavailable():
            self._announce(keys=[self._keys.fleet], args=[f"{process.kind} {process.version} {process.name}", seconds * 1000])

    def processes(self) -> list[Process]:
        """Those that announced themselves within a minute, by kind."""
        with unavailable():
            seconds, micros = self._redis.time()
            found = cast("list[bytes]", self._redis.zrangebyscore(self._keys.fleet, seconds * 1000 + micros // 1000, "+inf"))
        return sorted((Process(*each.decode().split(" ", 2)) for each in found), key=lambda process: (process.kind, process.name))

    def close(self) -> None:
        self._redis.close()


class Presence:
    """`with Presence(fleet, process)`: announced for as long as the block runs, by a thread of its own. Redis away is waited for."""

    def __init__(self, fleet: Fleet, process: Process) -> None:
        self._fleet = fleet
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with suppress(Unavailable):
                self._fleet.announce(self._process)
            if self._stop.wait(_EVERY_SECONDS):
                break
        with suppress(Unavailable):
            self._fleet.announce(self._process, seconds=0)
        self._fleet.close()
