"""What a client has not taken yet, bounded. It lives while something waits: a client that keeps up has none."""

from __future__ import annotations

import asyncio
from collections import deque

MAX_BYTES = 256 * 1024
MAX_MESSAGES = 200


class Backlog:
    __slots__ = ("_frames", "_room", "_size", "_written")

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._written = 0
        """Of the first frame."""
        self._room: asyncio.Future[None] | None = None

    def add(self, frame: bytes, *, written: int = 0) -> None:
        """`written`: how much of it has gone out already; other than 0 for the first one only."""
        self._frames.append(frame)
        self._size += len(frame) - written
        self._written += written

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_over(self) -> bool:
        """One message alone is never too much: whoever made it had it in memory already."""
        return len(self._frames) > MAX_MESSAGES or (self._size > MAX_BYTES and len(self._frames) > 1)

    @property
    def _is_roomy(self) -> bool:
        return self._size < MAX_BYTES // 2 and len(self._frames) < MAX_MESSAGES // 2

    @property
    def next(self) -> bytes | memoryview:
        """What goes out next; there must be something."""
        first = self._frames[0]
        return memoryview(first)[self._written :] if self._written else first

    def took(self, size: int) -> None:
        """So much of `next` has gone out."""
        self._size -= size
        self._written += size
        if self._written == len(self._frames[0]):
            self._frames.popleft()
            self._written = 0
        if self._is_roomy:
            self.wake()

    def take(self) -> bytes:
        """The first one, as if it had gone out; it must not be begun."""
        frame = self._frames[0]
        self.took(len(frame))
        return frame

    def drop(self) -> None:
        """All that was not begun: half a frame must be ended, or nothing that follows is understood."""
        first = self._frames[0] if self._written else None
        self._frames.clear()
        self._size = 0
        if first is not None:
            self._frames.append(first)
            self._size = len(first) - self._written
        self.wake()

    async def room(self) -> None:
        """Returns when less than half of the bound waits, or somebody called `wake`."""
        if self._is_roomy:
            return
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._room)  # several may wait

    def wake(self) -> None:
        if self._room is not None:
            if not self._room.done():
                self._room.set_result(None)
            self._room = None
