"""One connection for all questions of this process: written together, answered in order, no coroutine for each.

A question costs a quarter of the CPU that it costs with redis-py, and a twentieth where many ask at once (docs/adr/0010-cheap-sockets.md).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import hiredis
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.opened import Opened, opened
from app.adapters.redis.outgoing import Outgoing


class CommandConnection(asyncio.Protocol):
    """Lives until it is lost: by the server, or since an answer was late. Whoever waits is told then."""

    def __init__(self, timeout_seconds: float) -> None:
        self.is_open = False
        self._timeout = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._opened: Opened | None = None
        self._outgoing = Outgoing(self._write)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        """In the order of the questions, each with the moment when it was asked."""
        self._heard = 0.0
        """When something came; answers come in order, so that was for the oldest one, or before it."""
        self._watchdog: asyncio.TimerHandle | None = None

    async def open(self, location: RedisLocation) -> None:
        """Raises RedisError or OSError when there is no connection to be had."""
        self._opened = await opened(location, self)
        self.is_open = not self._opened.transport.is_closing()

    def ask(self, *command: str | int | bytes) -> asyncio.Future[Any]:
        """The answer, in RESP2. Fails with RedisConnectionError when the connection is lost before it, which has then been carried out or not."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._outgoing.put(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub names a tuple of one
        now = self._loop.time()
        self._waiting.append((answer, now))
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(now + self._timeout, self._look)
        return answer

    def drop(self) -> None:
        self._lose(RedisConnectionError, "the connection was closed")

    def _write(self, commands: list[bytes]) -> None:
        if self.is_open and self._opened is not None:
            self._opened.transport.write(b"".join(commands))

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                self._take(answer)
        except (hiredis.HiredisError, IndexError):  # what nobody asked for: whose the next one is cannot be known
            self._lose(RedisConnectionError, "the server does not speak Redis' protocol")

    def _take(self, answer: Any) -> None:
        waiting, _ = self._waiting.popleft()
        if waiting.done():  # whoever asked has gone
            return
        if isinstance(answer, hiredis.ReplyError):
            waiting.set_exception(_error(str(answer)))
        else:
            waiting.set_result(answer)

    def _look(self) -> None:
        self._watchdog = None
        if not self._waiting:
            return
        deadline = max(self._waiting[0][1], self._heard) + self._timeout
        if deadline > self._loop.time():
            self._watchdog = self._loop.call_at(deadline, self._look)
        else:
            self._lose(RedisTimeoutError, "no answer in time")

    def connection_lost(self, _: Exception | None) -> None:
        self._lose(RedisConnectionError, "the connection was lost")

    def _lose(self, error: type[RedisError], text: str) -> None:
        """All that wait are told the same: the server is silent to each of them."""
        self.is_open = False
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        waiting, self._waiting = self._waiting, deque()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(error(text))
        if self._opened is not None:
            self._opened.transport.abort()


def _error(text: str) -> RedisError:
    if text.startswith("NOSCRIPT"):
        return NoScriptError(text)
    if text.startswith("LOADING"):
        return BusyLoadingError(text)
    return ResponseError(text)
