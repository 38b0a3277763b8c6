"""The agenda: when to look after which reader. One timer, however many wait; a reader that waits for nothing is not in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf

from app.services.reader import Reader


class Agenda:
    def __init__(self, ring: Callable[[Reader], None]) -> None:
        """`ring` is called when a reader's time has come; it is not on the agenda then."""
        self._ring = ring
        self._due: dict[Reader, float] = {}
        self._heap: list[tuple[float, int, Reader]] = []  # with what was put off or dropped: each goes when its time comes
        self._ties = count()
        self._timer: asyncio.Handle | None = None
        self._rings_at = inf
        """Kept here: what uvloop returns for a time that has come already is no TimerHandle, and does not know it."""

    def __contains__(self, reader: Reader) -> bool:
        return reader in self._due

    def put(self, reader: Reader, seconds: float) -> None:
        """Look after it in so long, and no earlier."""
        due = asyncio.get_running_loop().time() + seconds
        self._due[reader] = due
        heappush(self._heap, (due, next(self._ties), reader))
        if due < self._rings_at:
            self._set()

    def drop(self, reader: Reader) -> None:
        self._due.pop(reader, None)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()
        self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = self._heap[0][0] if self._heap else inf
        self._timer = asyncio.get_running_loop().call_at(self._rings_at, self._look) if self._heap else None

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        try:
            while self._heap and self._heap[0][0] <= now:
                due, _, reader = heappop(self._heap)
                if self._due.get(reader) == due:
                    del self._due[reader]
                    self._ring(reader)
        finally:  # whoever broke, the others are rung
            self._timer = None
            self._set()
