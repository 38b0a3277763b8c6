"""The hub: from the one live connection of this process to everyone here who listens to a channel."""

from __future__ import annotations

import asyncio
from collections import deque

from app.domain.ids import ChannelId, OwnerId
from app.ports import LiveFeed

_HELD = 1000
"""Messages that a listener may be behind. More are dropped: it reads them from the history instead."""


class Listener:
    """What one reader has not taken yet. `missed` says that something may be lacking: read the history again."""

    def __init__(self) -> None:
        self.missed = False
        self._messages: deque[bytes] = deque()
        self._something = asyncio.Event()

    def put(self, message: bytes | None) -> None:
        if message is None or len(self._messages) >= _HELD:
            self.missed = True
            self._messages.clear()
        else:
            self._messages.append(message)
        self._something.set()

    async def wait(self, seconds: float) -> bool:
        """True when there is something, False after so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return False
        return True

    @property
    def is_behind(self) -> bool:
        return bool(self._messages)

    def drop_progress(self) -> None:
        """What was just read is newer than the progress that waits here, and progress never goes back."""
        self._messages = deque(message for message in self._messages if not message.startswith(b"p"))

    def take(self) -> list[bytes]:
        self._something.clear()
        taken = list(self._messages)
        self._messages.clear()
        return taken


class Hub:
    """One per process. Costs Redis one subscription per channel, however many listen; nothing here waits for a reader."""

    def __init__(self, feed: LiveFeed) -> None:
        self._feed = feed
        self._listeners: dict[tuple[OwnerId, ChannelId], set[Listener]] = {}
        self._joining = asyncio.Lock()

    async def run(self) -> None:
        """Hand on what arrives, for as long as the process lives."""
        async for message in self._feed.messages():
            if message is None:
                for listeners in self._listeners.values():
                    for listener in listeners:
                        listener.put(None)
            else:
                owner, channel, body = message
                for listener in self._listeners.get((owner, channel), ()):
                    listener.put(body)

    async def join(self, owner: OwnerId, channel: ChannelId) -> Listener:
        """Listen. When this returns, everything published from now on arrives. Raises Unavailable."""
        listener = Listener()
        async with self._joining:
            first = (owner, channel) not in self._listeners
            self._listeners.setdefault((owner, channel), set()).add(listener)
            if first:
                try:
                    await self._feed.watch(owner, channel)
                except BaseException:
                    self._drop(owner, channel, listener)
                    raise
        return listener

    async def leave(self, owner: OwnerId, channel: ChannelId, listener: Listener) -> None:
        async with self._joining:
            if self._drop(owner, channel, listener):
                await self._feed.unwatch(owner, channel)

    def _drop(self, owner: OwnerId, channel: ChannelId, listener: Listener) -> bool:
        listeners = self._listeners.get((owner, channel), set())
        listeners.discard(listener)
        if listeners:
            return False
        return self._listeners.pop((owner, channel), None) is not None
