"""Subscribe: one reader's view of a channel. History first, then live, each milestone once and in order.

    join the hub (from now on nothing live is missed) → read the history → drop what both had → live
    a gap in the offsets, a lost connection, a head that moved without us → read the history again

The reading ends when it has told at least one end and no source of the channel is open or being received, after a linger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

from app.domain.errors import NotFound, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.ports import Channels, ChannelState
from app.services.hub import Hub, Listener

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
"""How often a silent reader looks whether the head moved: the last message of a burst leaves no gap behind it."""

_ENDS = (b'"event":"source.succeeded"', b'"event":"source.failed"')


def is_end(milestone: bytes) -> bool:
    """Whether the event ends a source. The bytes are our own (domain/events.py), so their form is known."""
    return any(end in milestone for end in _ENDS)


@dataclass(slots=True)
class _Position:
    epoch: str
    offset: int
    """Read up to here."""
    told: int
    """Handed on up to here; who goes away in the middle of a page was not told the rest of it."""


class Subscribe:
    def __init__(self, channels: Channels, hub: Hub) -> None:
        self._channels = channels
        self._hub = hub

    async def __call__(self, owner: OwnerId, channel: ChannelId) -> AsyncGenerator[bytes, None]:
        """The channel's messages, as JSON, until the channel has nothing more to tell. Raises NotFound, Unavailable before the first."""
        state = await self._channels.state(owner, channel)
        if state is None:
            raise NotFound(detail="no such channel")
        listener = await self._hub.join(owner, channel)
        at = _Position(state.epoch, state.mark, state.mark)
        try:
            async with aclosing(self._read(owner, channel, at, listener)) as messages:
                async for message in messages:
                    yield message
        finally:
            await asyncio.shield(self._gone(owner, channel, at, listener))

    async def _gone(self, owner: OwnerId, channel: ChannelId, at: _Position, listener: Listener) -> None:
        with suppress(Unavailable):
            await self._hub.leave(owner, channel, listener)
            await self._channels.told(owner, channel, at.told)

    async def _read(self, owner: OwnerId, channel: ChannelId, at: _Position, listener: Listener) -> AsyncGenerator[bytes, None]:
        told_an_end = False
        for offset, milestone in await self._history(owner, channel, at, listener):
            told_an_end |= is_end(milestone)
            yield milestone
            at.told = offset
        with suppress(Unavailable):
            latest = await self._channels.latest_progress(owner, channel)
            listener.drop_progress()
            for progress in [] if listener.is_behind else latest:
                yield progress
        while True:
            if not await listener.wait(LINGER_SECONDS if told_an_end else _SWEEP_SECONDS):
                state = await self._state(owner, channel)
                if state is None or (state.epoch == at.epoch and state.head == at.offset):
                    if told_an_end and state is not None and not state.busy and not state.keep_open:
                        return
                    continue
                listener.missed = True
            for offset, message in await self._next(owner, channel, at, listener):
                told_an_end |= is_end(message)
                yield message
                at.told = max(at.told, offset)

    async def _next(self, owner: OwnerId, channel: ChannelId, at: _Position, listener: Listener) -> list[tuple[int, bytes]]:
        """What came, as (offset, JSON); progress has offset 0."""
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
        if listener.missed:
            listener.missed = False  # first, since more may be missed while we read
            try:
                out += await self._history(owner, channel, at, listener)
            except Unavailable:
                listener.missed = True
                await asyncio.sleep(1)  # Redis is away: there is nothing to tell until it is back
        return out

    async def _history(self, owner: OwnerId, channel: ChannelId, at: _Position, listener: Listener) -> list[tuple[int, bytes]]:
        state = await self._channels.state(owner, channel)
        if state is None:
            return []
        if state.epoch != at.epoch:  # the channel began anew after a wipe: all of it is news
            at.epoch, at.offset, at.told = state.epoch, 0, 0
        out: list[tuple[int, bytes]] = []
        while page := await self._channels.read(owner, channel, after=out[-1][0] if out else at.offset):
            out += page
        if out:
            at.offset = out[-1][0]
        listener.drop_progress()
        return out

    async def _state(self, owner: OwnerId, channel: ChannelId) -> ChannelState | None:
        try:
            return await self._channels.state(owner, channel)
        except Unavailable:
            return None

    async def end_of(self, owner: OwnerId, channel: ChannelId, source: SourceId) -> bytes:
        """Wait for the terminal event of one source; for the synchronous calls. The caller sets the deadline."""
        mark = f'"source-uuid":"{source}"'.encode()
        while True:
            async with aclosing(self(owner, channel)) as messages:
                async for message in messages:
                    if is_end(message) and mark in message:
                        return message
