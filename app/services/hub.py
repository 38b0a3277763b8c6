"""The hub: from the one live connection of this process to everyone here who listens to a channel."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId
from app.ports import Channels, LiveFeed
from app.services.listener import Listener, source_of_progress
from app.telemetry.metrics import JOINS, LISTENERS

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
"""How often the heads of all channels are looked at: the last message of a burst leaves no gap behind it."""


class _Room:
    """Who listens to one channel. `watched` is the one subscription that all of them share."""

    def __init__(self, watched: asyncio.Task[None]) -> None:
        self.listeners: set[Listener] = set()
        self.watched = watched


class Hub:
    """One per process. Costs Redis one subscription per channel, however many listen; nothing here waits for a reader."""

    def __init__(self, feed: LiveFeed, channels: Channels) -> None:
        self._feed = feed
        self._channels = channels
        self._rooms: dict[tuple[OwnerId, ChannelId], _Room] = {}

    async def run(self) -> None:
        """Hand on what arrives, for as long as the process lives."""
        async with asyncio.TaskGroup() as running:
            running.create_task(self._feed.run(self._tell, self._missed))
            running.create_task(self._sweep())

    def _tell(self, owner: OwnerId, channel: ChannelId, message: bytes) -> None:
        room = self._rooms.get((owner, channel))
        if room is not None:
            source = source_of_progress(message)
            for listener in room.listeners:
                listener.put(message, source)

    def _missed(self) -> None:
        for room in self._rooms.values():
            for listener in room.listeners:
                listener.miss()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            if names := list(self._rooms):
                with suppress(Unavailable):
                    for name, head in zip(names, await self._channels.heads(names), strict=True):
                        room = self._rooms.get(name)
                        for listener in room.listeners if room else ():
                            listener.compare(head)

    async def join(self, owner: OwnerId, channel: ChannelId) -> Listener:
        """Listen. When this returns, everything published from now on arrives. Raises Unavailable."""
        JOINS.inc()
        room = self._rooms.get((owner, channel)) or self._open(owner, channel)
        listener = Listener()
        room.listeners.add(listener)
        LISTENERS.inc()
        try:
            await asyncio.shield(room.watched)
        except BaseException:
            self.leave(owner, channel, listener, room)
            raise
        return listener

    def leave(self, owner: OwnerId, channel: ChannelId, listener: Listener, room: _Room | None = None) -> None:
        room = room or self._rooms.get((owner, channel))
        if room is None or listener not in room.listeners:
            return
        room.listeners.discard(listener)
        LISTENERS.dec()
        if room.watched.done():
            self._close_if_empty(owner, channel, room)

    def _open(self, owner: OwnerId, channel: ChannelId) -> _Room:
        """A room stays until its subscription is settled, even when all have left: so a channel is never subscribed and unsubscribed at once."""
        room = self._rooms[owner, channel] = _Room(asyncio.create_task(self._feed.watch(owner, channel)))

        def settled(watched: asyncio.Task[None]) -> None:
            if watched.cancelled() or watched.exception() is not None:
                if self._rooms.get((owner, channel)) is room:
                    del self._rooms[owner, channel]  # who waits for it is told, who comes later tries anew
            else:
                self._close_if_empty(owner, channel, room)

        room.watched.add_done_callback(settled)
        return room

    def _close_if_empty(self, owner: OwnerId, channel: ChannelId, room: _Room) -> None:
        if not room.listeners and self._rooms.get((owner, channel)) is room:
            del self._rooms[owner, channel]
            self._feed.unwatch(owner, channel)
