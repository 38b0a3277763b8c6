"""One connection that subscribes: callbacks from the socket on, no coroutine for each message, and commands written together."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import groupby
from typing import Any

import hiredis

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.opened import Opened, opened
from app.adapters.redis.outgoing import Outgoing

log = logging.getLogger(__name__)


class LiveConnection(asyncio.Protocol):
    """Lives until it is lost; it is dropped by itself after `silence_seconds` in which nothing came in, and when the server answers with an error."""

    def __init__(self, told: Callable[[bytes, bytes], None], unasked: Callable[[], None], silence_seconds: float) -> None:
        self.lost = asyncio.Event()
        self._told = told
        self._unasked = unasked
        self._silence = silence_seconds
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._heard = self._loop.time()
        self._watchdog: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._opened: Opened | None = None
        self._outgoing = Outgoing(self._write)
        self._expected: defaultdict[bytes, deque[Callable[[], None]]] = defaultdict(deque)

    async def open(self, location: RedisLocation) -> None:
        """Raises RedisError or OSError when there is no connection to be had."""
        self._opened = await opened(location, self)
        self._transport = self._opened.transport
        self._look()

    def subscribe(self, name: bytes, acknowledged: Callable[[], None]) -> None:
        """`acknowledged` is called when the server has said so. Each SUBSCRIBE has an answer of its own, and they come in order."""
        self._expected[name].append(acknowledged)
        self._outgoing.put((b"SUBSCRIBE", name))

    def unsubscribe(self, name: bytes) -> None:
        self._outgoing.put((b"UNSUBSCRIBE", name))

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, commands: list[tuple[bytes, bytes]]) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        packed = [hiredis.pack_command((verb, *(name for _, name in same))) for verb, same in groupby(commands, lambda command: command[0])]
        self._transport.write(b"".join(packed))

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                self._take(answer)
        except hiredis.HiredisError:
            log.exception("the live connection does not speak Redis' protocol")
            self.drop()

    def _take(self, answer: Any) -> None:
        if not isinstance(answer, list):  # an error, such as a permission that is lacking: nothing that was asked for can be relied on
            log.error("the live connection was refused: %s", answer)
            self.drop()
        elif answer[0] == b"message":
            self._told(answer[1], answer[2])
        elif answer[0] == b"subscribe":
            waiting = self._expected.get(answer[1])
            if not waiting:
                self._unasked()
                return
            acknowledged = waiting.popleft()
            if not waiting:
                del self._expected[answer[1]]
            acknowledged()

    def _look(self) -> None:
        left = self._heard + self._silence - self._loop.time()
        if left > 0:
            self._watchdog = self._loop.call_later(left, self._look)
        else:
            log.warning("the live connection is silent")
            self.drop()

    def connection_lost(self, _: Exception | None) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        self.lost.set()
