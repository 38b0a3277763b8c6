"""Many deadlines of one length, watched by one timer: one for each would cost as much as what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Of one event loop. `late` is called for each item that was not dropped within so many seconds; it is dropped before that."""

    def __init__(self, seconds: float, late: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._late = late
        self._until: dict[T, float] = {}
        """The oldest first, since all last equally long."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __iter__(self) -> Iterator[T]:
        """A copy."""
        return iter(tuple(self._until))

    def add(self, item: T) -> None:
        loop = self._loop = self._loop or asyncio.get_running_loop()
        until = self._until[item] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(until, self._look, loop)

    def drop(self, item: T) -> None:
        """Repeated, or when it is not there: nothing."""
        self._until.pop(item, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for item in self:
            until = self._until.get(item)
            if until is None:
                continue  # what was late before it took it along
            if until > now:
                break
            self.drop(item)
            self._late(item)
        following = next(iter(self._until.values()), None)
        self._timer = None if following is None else loop.call_at(following, self._look, loop)
