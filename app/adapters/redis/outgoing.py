"""What goes out to Redis in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")

_TURNS = 8
"""Of the loop, at most; each of a busy one takes some 0.1 ms."""


class Outgoing(Generic[C]):
    """Handed to `write` when a turn of the loop has brought nothing more, and after eight turns whatever they bring.

    A write costs 20 us here and as much in Redis, which it wakes. Where many ask, a turn of the loop brings one question or two: to wait for more is a third
    less CPU for a socket that is opened, and where nobody else asks it is one turn more, some 10 us (docs/adr/0010-cheap-sockets.md).
    """

    def __init__(self, write: Callable[[list[C]], None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._commands: list[C] = []
        self._seen = 0
        self._turns = 0

    def put(self, command: C) -> None:
        """It is written soon, in the order of the calls."""
        if not self._commands:
            self._loop.call_soon(self._turn)
        self._commands.append(command)

    def _turn(self) -> None:
        if self._turns < _TURNS and self._seen < len(self._commands):
            self._seen = len(self._commands)
            self._turns += 1
            self._loop.call_soon(self._turn)
            return
        commands, self._commands = self._commands, []
        self._seen = self._turns = 0
        self._write(commands)
