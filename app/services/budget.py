"""A bound on what all uploads of this process hold in memory together."""

from __future__ import annotations

import asyncio
from collections import deque


class BufferBudget:
    """Bytes that may be held; who wants more than is left waits, first come first served.

    So that uploads which all hold something and all want more do not wait for each other for ever, the first in line may go over
    the bound, one upload at a time: it then runs to its end, and gives back what it had. A share is one upload's.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._waiting: deque[tuple[Share, int, asyncio.Future[None]]] = deque()
        self._overdrawn: Share | None = None

    def share(self) -> Share:
        return Share(self)

    async def _take(self, share: Share, size: int) -> None:
        if (not self._waiting and self._left >= size) or self._overdrawn is share:
            self._left -= size
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((share, size, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._left += size
            else:
                self._waiting = deque(entry for entry in self._waiting if entry[2] is not granted)
            self._grant()
            raise

    def _give(self, size: int) -> None:
        self._left += size
        self._grant()

    def _leave(self, share: Share) -> None:
        if self._overdrawn is share:
            self._overdrawn = None
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            share, size, granted = self._waiting[0]
            if self._left < size:
                if self._overdrawn is not None:
                    return
                self._overdrawn = share
            self._waiting.popleft()
            if not granted.done():
                self._left -= size
                granted.set_result(None)


class Share:
    """What one upload holds of the budget."""

    def __init__(self, budget: BufferBudget) -> None:
        self._budget = budget
        self._held = 0

    async def take(self, size: int) -> None:
        await self._budget._take(self, size)  # noqa: SLF001 - a share is the budget's own other half
        self._held += size

    def give(self, size: int) -> None:
        self._held -= size
        self._budget._give(size)  # noqa: SLF001

    def close(self) -> None:
        """Give back everything. Idempotent."""
        if self._held:
            self.give(self._held)
        self._budget._leave(self)  # noqa: SLF001
