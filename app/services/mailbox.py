"""The mailbox: the outlet of a reader whose messages somebody takes one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

_FULL = 200
"""Messages; then its reader waits until some were taken, and goes on from the history."""
_FULL_BYTES = 256 * 1024
_ALL_IS_TOLD = 1000


class Closed(Exception):
    """Before all was told: whoever took the messages comes again, and goes on."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        """As a socket's."""


class Mailbox:
    """Implements Outlet. What was handed to the taker is not told before it asks for the next: it may have gone with it."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._in_hand = 0
        self._error: BaseException | None = None
        self._code: int | None = None
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        return len(self._messages) + self._in_hand

    @property
    def is_full(self) -> bool:
        return len(self._messages) >= _FULL or self._bytes >= _FULL_BYTES

    def send(self, message: bytes) -> bool:
        if self._code is not None:
            return False
        self._messages.append(message)
        self._bytes += len(message)
        self._something.set()
        if len(self._messages) >= _FULL // 2 or self._bytes >= _FULL_BYTES // 2:
            self._room.clear()
        return True

    async def room(self) -> None:
        await self._room.wait()

    def close(self, code: int) -> None:
        if self._code is None:
            self._code = code
            self._something.set()

    def fail(self, error: BaseException) -> None:
        """Who takes is told so, after what waits."""
        self._error = error
        self._something.set()

    async def taken(self) -> AsyncGenerator[bytes, None]:
        """The messages, until it is closed. Raises what it failed with, and Closed when it was closed with another code than 1000."""
        while True:
            while self._messages:
                message = self._messages.popleft()
                self._bytes -= len(message)
                self._in_hand = 1
                yield message
                self._in_hand = 0
                if len(self._messages) < _FULL // 2 and self._bytes < _FULL_BYTES // 2:
                    self._room.set()
            if self._error is not None:
                raise self._error
            if self._code == _ALL_IS_TOLD:
                return
            if self._code is not None:
                raise Closed(self._code)
            self._something.clear()
            await self._something.wait()
