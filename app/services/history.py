"""What a channel's stream has after a reader; and where that is gone, what is to be said instead."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from app.domain.channel import ChannelState
from app.domain.errors import Unavailable
from app.domain.events import ChannelRecovered
from app.domain.position import Position
from app.ports import Channels
from app.services.message import Message
from app.services.reader import UNKNOWN, Reader
from app.services.snapshots import Snapshot, Snapshots
from app.services.told import Told
from app.telemetry.metrics import HISTORY_LOST, HISTORY_READS, OVERRUNS

log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Readings of this process: each holds a channel's history for as long as it asks."""
_TRIES = 5
"""At one reading; then what Redis says of the channel and what its stream has do not fit together, and never will."""
_STUCK_SECONDS = 30.0
"""Who takes nothing for so long, while its history is told, is closed: it holds that history in memory."""


class History:
    def __init__(self, channels: Channels, snapshots: Snapshots) -> None:
        self._channels = channels
        self._snapshots = snapshots
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def state(self, reader: Reader) -> ChannelState | None:
        """Without a turn: it is one short answer, and each socket that is opened asks for it."""
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
        elif state and not reader.epoch:
            reader.epoch = state.epoch
            reader.look()
        for message in found:
            if not await self._has_room(reader):
                return True
            reader.take(message)
        if missing is not None:
            await self.tell_progress(reader)
        return bool(found) or missing is not None

    async def _read(self, reader: Reader, known: ChannelState | None) -> tuple[ChannelState | None, list[Message], list[Snapshot] | None]:
        """Snapshots where history is lost. Read anew when the stream changes its life, or loses its beginning, between our questions.

        Snapshots are taken first, so that what comes behind all that is found here is younger than they are.
        """
        snapshots: list[Snapshot] | None = None
        for _ in range(_TRIES):
            state, known = known or await self._channels.state(*reader.channel), None
            lost = _is_lost(reader, state)
            if lost and snapshots is None:
                shown = await self._snapshots(*reader.channel)
                before, state = state, await self._channels.state(*reader.channel)
                if _life(before) != _life(state):
                    known = state
                    continue  # they may say what nobody knows any more
                snapshots, lost = shown, _is_lost(reader, state)
            start = reader.offset if not lost or state is None else state.first - 1
            found = await self._pages(reader, state, start) if state else []
            if found is not None:
                return state, found, snapshots if lost else None
            snapshots = None
        log.error("a channel's stream does not have what its head says: its readers go on after that")
        return state, [], await self._snapshots(*reader.channel)

    async def _pages(self, reader: Reader, state: ChannelState, after: int) -> list[Message] | None:
        found: list[Message] = []
        while after < state.head:
            page = await self._channels.read(*reader.channel, after=after)
            if not page:
                return None
            for offset, body in page:
                epoch = _epoch(body)
                if offset != after + 1 or (offset <= state.head and epoch != state.epoch_of(offset)):
                    return None
                found.append(Message(body, epoch, offset))
                after = offset
        return found

    async def _recover(self, reader: Reader, state: ChannelState | None, snapshots: list[Snapshot], found: list[Message]) -> None:
        """Snapshots stand before what the stream still has, so none says more percent than what follows: progress never goes back."""
        start = found[0].offset - 1 if found else state.head if state else 0
        reader.epoch, reader.offset = (state.epoch_of(start), start) if state else UNKNOWN
        reader.look()
        told = reader.told = reader.told or Told()
        told.lost = True
        told.forget_progress()
        reader.say(ChannelRecovered(event_id=str(Position(reader.epoch, reader.offset)) if state else None).to_json())
        first: dict[tuple[str, int], int] = {}
        for message in (each for each in found if "run" in each.event):  # a roll-up is of no run
            first.setdefault(message.run, message.event.get("progress", 0))
        for snapshot in snapshots:
            event = snapshot.event
            percent = min(event.progress, first.get((event.source_uuid, event.run), 100 if state else 0))
            told.show(snapshot, percent)
            if not await self._has_room(reader):
                return
            reader.say(event.model_copy(update={"progress": percent}).to_json())

    async def tell_progress(self, reader: Reader) -> None:
        """The latest of each source at work, unless a milestone is on its way that was said before that."""
        with suppress(Unavailable):
            async with self._turns:
                latest = await self._channels.latest_progress(*reader.channel)
            if reader.drain():
                for message in map(Message.progress, latest):
                    if reader.told is None or reader.told.is_behind(message):
                        reader.follow(message)

    @staticmethod
    async def _has_room(reader: Reader) -> bool:
        """False when the client has gone, or took nothing for so long: then it is closed."""
        while (outlet := reader.outlet) is not None:
            waiting = outlet.waiting
            with suppress(TimeoutError):
                async with asyncio.timeout(_STUCK_SECONDS):
                    await outlet.room()
                    break
            if outlet.waiting >= waiting:
                OVERRUNS.inc()
                reader.close(1013)
        return reader.outlet is not None


def _is_lost(reader: Reader, state: ChannelState | None) -> bool:
    """Whether what follows is not there to be read, or what it was told is not. No epoch: nothing was known of the channel, so nothing is lost."""
    if state is None:
        return bool(reader.epoch)
    if not reader.epoch:
        return reader.offset + 1 < state.first
    return not state.goes_on_after(Position(reader.epoch, reader.offset))


def _life(state: ChannelState | None) -> str:
    return state.epoch if state is not None else ""


def _epoch(body: bytes) -> str:
    """Of a milestone, in the form in which the stream has it."""
    return body[len(b'{"event-id":"') : body.index(b":", len(b'{"event-id":"'))].decode()
