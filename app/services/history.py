"""What a channel's stream has after a reader; and where that is gone, what is to be said instead."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.domain.channel import ChannelState
from app.domain.errors import Unavailable
from app.domain.events import ChannelRecovered
from app.domain.position import Position
from app.ports import Channels
from app.services.message import Message
from app.services.reader import Reader
from app.services.snapshots import Snapshot, Snapshots
from app.services.told import Told
from app.telemetry.metrics import HISTORY_LOST, HISTORY_READS

_AT_ONCE = 64
"""Readings of this process: each holds a connection to Redis, and a channel's history, for as long as it asks."""


def is_lost(epoch: str, offset: int, state: ChannelState | None) -> bool:
    """Whether what follows the position is not there to be read. No epoch: nothing was known of the channel, so nothing is lost."""
    if state is None:
        return bool(epoch)
    return epoch not in {"", state.epoch} or offset > state.head or offset + 1 < state.first


class History:
    def __init__(self, channels: Channels, snapshots: Snapshots) -> None:
        self._channels = channels
        self._snapshots = snapshots
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def state(self, reader: Reader) -> ChannelState | None:
        async with self._turns:
            return await self._channels.state(*reader.channel)

    async def tell(self, reader: Reader, known: ChannelState | None = None) -> bool:
        """Tell the reader all that it was not told. False when there was nothing. Raises Unavailable, and then nothing was told.

        `known` is the channel's state, if that was asked for since the reader joined.
        """
        HISTORY_READS.inc()
        async with self._turns:
            state, found, missing = await self._read(reader, known)
        if missing is not None:
            HISTORY_LOST.inc()
            await self._recover(reader, state, missing, found)
        elif state and reader.epoch != state.epoch:
            reader.epoch = state.epoch
            self._look(reader)
        for message in found:
            await self._room(reader)
            reader.take(message)
        if missing is not None:
            await self.tell_progress(reader)
        return bool(found) or missing is not None

    async def _read(self, reader: Reader, known: ChannelState | None) -> tuple[ChannelState | None, list[Message], list[Snapshot] | None]:
        """Snapshots where history is lost. Read anew when the stream changes its life, or loses its beginning, between our questions."""
        while True:
            state, known = known or await self._channels.state(*reader.channel), None
            lost = is_lost(reader.epoch, reader.offset, state)
            start = reader.offset if not lost or state is None else state.first - 1
            found = await self._pages(reader, state, start) if state else []
            if found is not None:
                return state, found, await self._snapshots(*reader.channel) if lost else None

    async def _pages(self, reader: Reader, state: ChannelState, after: int) -> list[Message] | None:
        found: list[Message] = []
        while after < state.head:
            page = await self._channels.read(*reader.channel, after=after)
            if not page or page[0][0] != after + 1 or not page[0][1].startswith(b'{"event-id":"%s:' % state.epoch.encode()):
                return None
            found += [Message(body, state.epoch, offset) for offset, body in page]
            after = found[-1].offset
        return found

    async def _recover(self, reader: Reader, state: ChannelState | None, snapshots: list[Snapshot], found: list[Message]) -> None:
        """Snapshots stand before what the stream still has, so none says more percent than what follows: progress never goes back."""
        reader.epoch, reader.offset = (state.epoch, state.first - 1) if state else ("", 0)
        told = self._look(reader)
        told.forget_progress()
        reader.say(ChannelRecovered(event_id=str(Position(reader.epoch, reader.offset)) if state else None).to_json())
        first: dict[tuple[str, int], int] = {}
        for message in (each for each in found if "run" in each.event):  # a roll-up is of no run
            first.setdefault(message.run, message.event.get("progress", 0))
        for snapshot in snapshots:
            event = snapshot.event
            told.show(snapshot)
            percent = min(event.progress, first.get((event.source_uuid, event.run), 100))
            await self._room(reader)
            reader.say(event.model_copy(update={"progress": percent}).to_json())

    def _look(self, reader: Reader) -> Told:
        reader.told = reader.told or Told()
        reader.told.looks = True
        return reader.told

    async def tell_progress(self, reader: Reader) -> None:
        """The latest of each source at work, unless a milestone is on its way that may be older than that."""
        with suppress(Unavailable):
            async with self._turns:
                latest = await self._channels.latest_progress(*reader.channel)
                state = await self._channels.state(*reader.channel) if latest else None
            if state is not None and reader.drain() and reader.epoch == state.epoch and reader.offset >= state.head:
                for message in map(Message, latest):
                    if reader.told is None or reader.told.is_behind(message):
                        reader.take(message)

    @staticmethod
    async def _room(reader: Reader) -> None:
        if reader.outlet is not None:
            await reader.outlet.room()
