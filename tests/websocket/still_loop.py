"""A loop in which nothing happens by itself: what was asked for waits until the test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class StillLoop:
    def __init__(self) -> None:
        self._soon: deque[Callable[[], None]] = deque()
        self._later: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[..., None], *arguments: Any) -> None:
        self._soon.append(lambda: call(*arguments))

    def call_later(self, _seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._later.append(lambda: call(*arguments))

    def turn(self) -> None:
        """All that is due at once."""
        while self._soon:
            self._soon.popleft()()

    def wait(self) -> None:
        """Until all timers have gone off."""
        while self._later or self._soon:
            self.turn()
            later, self._later = self._later, []
            for call in later:
                call()


@contextmanager
def still_loop() -> Iterator[StillLoop]:
    loop = StillLoop()
    asyncio._set_running_loop(loop)  # type: ignore[arg-type]  # as much of a loop as a line uses
    try:
        yield loop
    finally:
        asyncio._set_running_loop(None)
