"""Subscribe: one reader's view of a channel. History first, then live, each milestone once and in order.

    join the hub (from now on nothing live is missed) → read the history → drop what both had → live
    a gap in the offsets, a lost connection, a head that moved without us → read the history again
    what we were to read is gone (a wipe, a trimmed stream)               → say so, with a snapshot of each source; then what is there

The reading ends when it has told at least one end and no source of the channel is open or being received, after a linger. Where the
end itself was lost, a snapshot that shows it counts as told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from app.domain.errors import NotFound, Unavailable
from app.domain.events import ChannelRecovered
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.domain.position import Position
from app.domain.wire import parse
from app.ports import Channels, ChannelState
from app.services.hub import Hub
from app.services.listener import UNKNOWN, Listener
from app.services.snapshots import Snapshot, Snapshots
from app.telemetry.metrics import GAPS_HEALED, HISTORY_LOST, HISTORY_READS, delivered

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
_LOOK_SECONDS = 5.0
"""After so long, and then ever less often, a reader without history asks the store for ends that nobody will say."""
_LONGEST_LOOK_SECONDS = 60.0
_NEVER = float("inf")

_ENDS = (b'"event":"source.succeeded"', b'"event":"source.failed"')


def is_end(milestone: bytes) -> bool:
    """Whether the event ends a source. The bytes are our own (domain/events.py), so their form is known."""
    return any(end in milestone for end in _ENDS)


@dataclass(slots=True)
class _Reading:
    """One reader, and how far it is."""

    owner: OwnerId
    channel: ChannelId
    listener: Listener
    epoch: str
    offset: int
    """Read up to here."""
    told: int
    """Handed on up to here; who goes away in the middle of a page was not told the rest of it."""
    resumes: bool = False
    is_lost: bool = False
    """History was lost, and the reader has yet to hear of it."""
    told_an_end: bool = False
    is_over: bool = False
    ends: set[tuple[str, int]] = field(default_factory=set)
    """Source and run of the ends that were told: a second one, said after a wipe, is not."""
    shown: set[tuple[str, int]] = field(default_factory=set)
    """The same for snapshots that show an end."""
    look_at: float = _NEVER
    pause: float = 0

    def look_soon(self) -> None:
        self.pause = _LOOK_SECONDS
        self.look_at = asyncio.get_running_loop().time() + self.pause

    def is_new(self, message: bytes) -> bool:
        """False for an end that this reader has heard of that run."""
        if not is_end(message):
            return True
        end = parse(message)
        of = (end["source-uuid"], end["run"])
        if of in self.ends:
            return False
        self.ends.add(of)
        self.told_an_end = True
        return True

    def show(self, snapshots: list[Snapshot]) -> list[bytes]:
        for snapshot in snapshots:
            if snapshot.is_settled:
                self.shown.add((snapshot.event.source_uuid, snapshot.event.run))
                self.told_an_end = True
        return [snapshot.event.to_json() for snapshot in snapshots]


class Subscribe:
    def __init__(self, channels: Channels, hub: Hub, snapshots: Snapshots) -> None:
        self._channels = channels
        self._hub = hub
        self._snapshots = snapshots

    async def __call__(self, owner: OwnerId, channel: ChannelId, after: Position | None = None) -> AsyncGenerator[bytes, None]:
        """The channel's messages, as JSON, until the channel has nothing more to tell; those after a position, else after the mark.

        Raises NotFound, Unavailable before the first.
        """
        state = await self._channels.state(owner, channel)
        if state is None:
            raise NotFound(detail="no such channel")
        listener = await self._hub.join(owner, channel)
        at = _begin(owner, channel, listener, state, after)
        try:
            async with aclosing(self._read(at)) as messages:
                async for message in messages:
                    yield message
        finally:
            await asyncio.shield(self._gone(at))

    async def _gone(self, at: _Reading) -> None:
        with suppress(Unavailable):
            self._hub.leave(at.owner, at.channel, at.listener)
            await self._channels.told(at.owner, at.channel, at.told)

    async def _read(self, at: _Reading) -> AsyncGenerator[bytes, None]:
        if at.resumes and not at.is_lost:
            await self._past(at)
        for offset, message in await self._history(at):
            if at.is_new(message):
                yield message
            at.told = max(at.told, offset)
        with suppress(Unavailable):
            latest = await self._channels.latest_progress(at.owner, at.channel)
            at.listener.drop_progress()
            for progress in [] if at.listener.is_behind else latest:
                yield progress
        while not at.is_over:
            at.listener.position = (at.epoch, at.offset)  # the hub's sweep tells when the head has moved without us
            something = await at.listener.wait(self._patience(at))
            at.listener.position = None
            for offset, message in await (self._next(at) if something else self._idle(at)):
                if at.is_new(message):
                    yield message
                at.told = max(at.told, offset)

    async def _past(self, at: _Reading) -> None:
        """Who goes on after an end was told that end."""
        if at.offset:
            before = await self._channels.read(at.owner, at.channel, after=at.offset - 1, limit=1)
            at.told_an_end = not before or before[0][0] != at.offset or is_end(before[0][1])

    @staticmethod
    def _patience(at: _Reading) -> float | None:
        if at.told_an_end:
            return LINGER_SECONDS
        return None if at.look_at == _NEVER else max(0.0, at.look_at - asyncio.get_running_loop().time())

    async def _idle(self, at: _Reading) -> list[tuple[int, bytes]]:
        """Nothing came for a while; perhaps there is nothing more to tell."""
        try:
            state = await self._channels.state(at.owner, at.channel)
            if not _is_current(at, state):
                at.listener.missed = True
                return await self._next(at)
            shown = await self._look(at)
            at.is_over = not shown and at.told_an_end and await self._is_over(at, state)
        except Unavailable:
            at.look_at = max(at.look_at, asyncio.get_running_loop().time() + LINGER_SECONDS)
            return []
        return [(0, message) for message in shown]

    async def _look(self, at: _Reading) -> list[bytes]:
        """Snapshots of what ended without a word, when it is time to look."""
        now = asyncio.get_running_loop().time()
        if now < at.look_at:
            return []
        found = await self._snapshots(at.owner, at.channel)
        at.pause = min(at.pause * 2, _LONGEST_LOOK_SECONDS)
        at.look_at = now + at.pause if not at.epoch or not all(each.is_settled for each in found) else _NEVER
        said = at.ends | at.shown
        return at.show([each for each in found if each.is_settled and (each.event.source_uuid, each.event.run) not in said])

    async def _is_over(self, at: _Reading, state: ChannelState | None) -> bool:
        if state is not None:
            return not state.waits_for_more
        return all(each.is_settled for each in await self._snapshots(at.owner, at.channel))

    async def _next(self, at: _Reading) -> list[tuple[int, bytes]]:
        """What came, as (offset, JSON); what is no milestone has offset 0."""
        listener = at.listener
        out: list[tuple[int, bytes]] = []
        for message in listener.take():
            kind, _, rest = message.partition(b" ")
            if kind == b"p":
                if not listener.missed:
                    out.append((0, rest))
                continue
            number, _, rest = rest.partition(b" ")
            epoch, _, body = rest.partition(b" ")
            offset = int(number)
            if epoch.decode() != at.epoch or offset > at.offset + 1:
                listener.missed = True
            elif offset == at.offset + 1 and not listener.missed:
                at.offset = offset
                out.append((offset, body))
                delivered(body)
        if listener.missed:
            listener.missed = False  # first, since more may be missed while we read
            try:
                healed = await self._history(at)
                GAPS_HEALED.inc(bool(healed))
                out += healed
            except Unavailable:
                listener.missed = True
                await asyncio.sleep(1)  # Redis is away: there is nothing to tell until it is back
        return out

    async def _history(self, at: _Reading) -> list[tuple[int, bytes]]:
        """What the stream has after us; before it, where history was lost, what is to be said of that. `at` moves only when all was read."""
        state = await self._channels.state(at.owner, at.channel)
        epoch = state.epoch if state else ""
        is_lost = at.is_lost or (epoch != at.epoch and bool(at.epoch)) or (state is not None and epoch == at.epoch and at.offset > state.head)
        start = 0 if is_lost or epoch != at.epoch else at.offset
        HISTORY_READS.inc()
        kept: list[tuple[int, bytes]] = []
        while state and (page := await self._channels.read(at.owner, at.channel, after=kept[-1][0] if kept else start)):
            if not page[0][1].startswith(b'{"event-id":"%s:' % epoch.encode()):
                return await self._history(at)  # wiped between our two questions
            is_lost |= page[0][0] != (kept[-1][0] if kept else start) + 1
            kept += page
        is_lost |= state is not None and not kept and state.head > start  # expired
        out: list[tuple[int, bytes]] = []
        if is_lost:
            HISTORY_LOST.inc()
            first = kept[0][0] - 1 if kept else state.head if state else 0
            recovered = ChannelRecovered(event_id=str(Position(epoch, first)) if state else None)
            out = [(0, recovered.to_json()), *((0, each) for each in at.show(await self._snapshots(at.owner, at.channel)))]
        if epoch != at.epoch or is_lost:
            at.told = 0
            at.look_soon()
        at.is_lost = False
        at.epoch, at.offset = epoch, kept[-1][0] if kept else state.head if state else 0
        at.listener.drop_progress()
        return out + kept

    async def end_of(self, owner: OwnerId, channel: ChannelId, source: SourceId, run: int = 1) -> bytes:
        """Wait for the terminal event of one source, of this run or a later one. The caller sets the deadline."""
        mark = f'"source-uuid":"{source}"'.encode()
        while True:
            async with aclosing(self(owner, channel)) as messages:
                async for message in messages:
                    if is_end(message) and mark in message and parse(message)["run"] >= run:
                        return message


def _begin(owner: OwnerId, channel: ChannelId, listener: Listener, state: ChannelState, after: Position | None) -> _Reading:
    if after is None:
        at = _Reading(owner, channel, listener, state.epoch, max(state.mark, state.first - 1), state.mark)
        if not state.registered:
            at.look_soon()  # opened anew after a wipe, perhaps: an end may have been said that no stream has
        return at
    is_lost = after.epoch != state.epoch or not state.first - 1 <= after.offset <= state.head
    offset = 0 if is_lost else after.offset
    return _Reading(owner, channel, listener, state.epoch, offset, offset, resumes=True, is_lost=is_lost)


def _is_current(at: _Reading, state: ChannelState | None) -> bool:
    return (at.epoch, at.offset) == ((state.epoch, state.head) if state else UNKNOWN)
