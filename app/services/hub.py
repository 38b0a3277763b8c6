"""The hub: from the one live connection of this process to every reader here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress

from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId
from app.ports import Channels, LiveFeed
from app.services.message import Message
from app.services.reader import Reader
from app.telemetry.metrics import JOINS, LISTENERS

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
"""How often the heads of all channels are looked at: the last message of a burst leaves no gap behind it."""
_AGAIN_SECONDS = 1.0
"""The same after a sweep that Redis did not answer."""
_HEADS_AT_ONCE = 500
"""Takes about a millisecond of the loop, and as much of Redis."""

_Channel = tuple[OwnerId, ChannelId]


class Hub:
    """One per process. Costs Redis one subscription per channel, however many read it; nothing here waits for a reader."""

    def __init__(self, feed: LiveFeed, channels: Channels) -> None:
        self._feed = feed
        self._channels = channels
        self._rooms: dict[_Channel, Reader | set[Reader]] = {}
        """Who reads a channel. Most readers are alone, and a set of one would cost more than the reader."""
        self._opening: dict[_Channel, asyncio.Future[None]] = {}
        self._missed = asyncio.Event()
        self._missed_at = time.monotonic()  # what was before this process, nobody here knows
        self._life = ""
        """Of Redis, when it was asked last."""

    async def run(self) -> None:
        """Hand on what arrives, for as long as the process lives."""
        async with asyncio.TaskGroup() as running:
            running.create_task(self._feed.run(self._tell, self._miss, lambda: self._rooms))
            running.create_task(self._sweep())

    def has_missed(self, *, within_seconds: float) -> bool:
        """Whether Redis was away, or its link broken, a moment ago."""
        return time.monotonic() - self._missed_at < within_seconds

    def _in(self, channel: _Channel) -> Collection[Reader]:
        """A copy, where it could change while somebody goes through it."""
        room = self._rooms.get(channel, ())
        return (room,) if isinstance(room, Reader) else tuple(room)

    def _tell(self, owner: OwnerId, channel: ChannelId, text: bytes) -> None:
        readers = self._in((owner, channel))
        if readers:
            message = Message.published(text)
            for reader in readers:
                try:
                    reader.tell(message)
                except Exception:  # its client comes again; an error that goes on from here would cut the live link of them all
                    log.exception("a reader broke")
                    reader.close(1011)

    def _miss(self) -> None:
        """Who reads just now reads again. All others are compared with the heads: most have missed nothing."""
        self._missed_at = time.monotonic()
        self._missed.set()
        for channel in self._rooms:
            for reader in self._in(channel):
                if reader.held is not None:
                    reader.held.miss()

    async def _sweep(self) -> None:
        pause = _SWEEP_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._missed.wait()
            self._missed.clear()
            pause = _AGAIN_SECONDS
            with suppress(Unavailable):
                await self._compare()
                pause = _SWEEP_SECONDS

    async def _compare(self) -> None:
        names = list(self._rooms)
        for start in range(0, max(1, len(names)), _HEADS_AT_ONCE):
            some = names[start : start + _HEADS_AT_ONCE]
            heads = await self._channels.heads(some)
            for name, head in zip(some, heads.of, strict=True):
                for reader in self._in(name):
                    reader.compare(head)
            self._lives(heads.life)

    def _lives(self, life: str) -> None:
        """A Redis that began another life may have lost what it said last. An end among that is said by nobody again, so all look for it."""
        before, self._life = self._life, life
        if before not in {"", life}:
            for channel in list(self._rooms):
                for reader in self._in(channel):
                    reader.look()

    # ------------------------------------------------------------------------------------------------ joining and leaving

    async def join(self, reader: Reader) -> None:
        """Listen. When this returns, everything published from now on arrives. Raises Unavailable, and then it has not joined."""
        JOINS.inc()
        self._enter(reader)
        opening = self._opening.get(reader.channel)
        if opening is not None:
            try:
                await asyncio.shield(opening)
            except BaseException:
                self.leave(reader)
                raise

    def _enter(self, reader: Reader) -> None:
        LISTENERS.inc()
        room = self._rooms.get(reader.channel)
        if room is None:
            self._rooms[reader.channel] = reader
            self._open(reader.channel)
        else:
            others = {room} if isinstance(room, Reader) else room
            reader.channel = next(iter(others), reader).channel  # one object for all
            others.add(reader)
            self._rooms[reader.channel] = others

    def leave(self, reader: Reader) -> None:
        """Repeated, or when it has not joined: nothing."""
        room = self._rooms.get(reader.channel)
        if room is reader:
            self._rooms[reader.channel] = set()
        elif isinstance(room, set) and reader in room:
            room.discard(reader)
        else:
            return
        LISTENERS.dec()
        self._close_if_empty(reader.channel)

    def _open(self, channel: _Channel) -> None:
        opening = self._opening[channel] = asyncio.ensure_future(self._feed.watch(*channel))
        opening.add_done_callback(lambda _: self._opened(channel, opening))

    def _opened(self, channel: _Channel, opening: asyncio.Future[None]) -> None:
        del self._opening[channel]
        if opening.cancelled() or opening.exception() is not None:
            LISTENERS.dec(len(self._in(channel)))
            del self._rooms[channel]  # who waits for it is told, who comes later tries anew
        else:
            self._close_if_empty(channel)

    def _close_if_empty(self, channel: _Channel) -> None:
        """A room stays until its subscription is settled, even when all have left: so a channel is never subscribed and unsubscribed at once."""
        if channel not in self._opening and not self._in(channel):
            del self._rooms[channel]
            self._feed.unwatch(*channel)
