"""Subscribe: put a reader on a channel. History first, then live, each milestone once and in order.

    join the hub (from now on nothing live is missed) → read the history → follow what was held meanwhile → live
    a gap in the offsets, a lost connection, a head that moved without us → hold what comes, and read the history again
    what we were to read is gone (a wipe, a trimmed stream)               → say so, with a snapshot of each source; then what is there

A reader that is live has no task and no timer. It is closed when it was told at least one end and no source of the channel is open or being
received, after a linger. Where the end itself was lost, a snapshot that shows it counts as told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from datetime import timedelta

from app.domain.channel import ChannelState
from app.domain.errors import NotFound, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.domain.position import Position
from app.ports import Channels
from app.services.agenda import Agenda
from app.services.held import Held
from app.services.history import History
from app.services.hub import Hub
from app.services.mailbox import Closed, Mailbox
from app.services.message import Message
from app.services.outlet import Outlet, Unanswered
from app.services.reader import UNKNOWN, Reader
from app.services.snapshots import Snapshots
from app.services.told import Told, is_over
from app.telemetry.metrics import GAPS_HEALED, OVERRUNS

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
_LOOK_SECONDS = 5.0
"""After so long a reader without history asks the store for ends that nobody will say."""
_LONGEST_PAUSE_SECONDS = 60.0
"""Each look whether a reader's channel is over comes after twice the pause of the one before, up to this."""
_AGAIN_SECONDS = 1.0
"""Redis is away: there is nothing to tell until it is back."""
_CLOSE_SECONDS = 2.0
_DOUBT_SECONDS = 120.0
"""After Redis was away: twice the time in which the reconciler has seen the whole inbox, when nothing is said of that."""
_LOOKS_AT_ONCE = 4
"""Into the store: after a restart of Redis all readers look, and uploads want the store too."""
_CLOCKS = timedelta(minutes=1)
"""By so much those of the hosts may differ."""


class Subscribe:
    """Implements reader.Keeper."""

    def __init__(self, channels: Channels, hub: Hub, snapshots: Snapshots) -> None:
        self._channels = channels
        self._hub = hub
        self._snapshots = snapshots
        self._history = History(channels, snapshots)
        self._agenda = Agenda(self._ring)
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone: deque[tuple[tuple[OwnerId, ChannelId], Position]] = deque()
        self._noting: asyncio.Task[None] | None = None

    async def join(self, owner: OwnerId, channel: ChannelId, reopen: Callable[[], Awaitable[None]] | None = None) -> tuple[Reader, ChannelState]:
        """A reader that holds what the channel says from now on, until `follow` tells it; for as long as it takes to answer the client.

        `reopen` is called when Redis does not know the channel. Raises what that does, NotFound, Unavailable; nothing is left of the reader then. Whoever does
        not let it follow calls `detach`.
        """
        reader = Reader(self, (owner, channel), Unanswered())
        return reader, await self._join(reader, reopen)

    async def follow(self, reader: Reader, state: ChannelState, after: Position | None, outlet: Outlet) -> None:
        """Send the channel's messages to the outlet: those after a position, else after the mark. Returns when the history is told.

        From then on the reader costs no task; the outlet is closed with 1000 when the channel has nothing more to tell. Whoever
        learns that the client has gone calls `detach`. Raises Unavailable; nothing is left of the reader then.
        """
        reader.outlet = outlet
        await self._follow(reader, state, after)

    async def __call__(self, owner: OwnerId, channel: ChannelId, after: Position | None = None, mailbox: Mailbox | None = None) -> AsyncGenerator[bytes, None]:
        """The same as a generator, which ends where the outlet would be closed with 1000. Who takes slowly is waited for.

        Raises Closed where it would be closed with another code; whoever brings the `mailbox` may close it.
        """
        mailbox = mailbox or Mailbox()
        reader = _Patient(self, (owner, channel), mailbox)
        filling = self._start(reader, self._fill(reader, after, mailbox))
        try:
            async with aclosing(mailbox.taken()) as messages:
                async for message in messages:
                    yield message
        finally:
            filling.cancel()
            reader.detach()

    async def end_of(self, owner: OwnerId, channel: ChannelId, source: SourceId, run: int = 1) -> bytes:
        """Wait for the terminal event of one source, of this run or a later one. The caller sets the deadline."""
        mark = f'"source-uuid":"{source}"'.encode()
        while True:
            with suppress(Closed):
                async with aclosing(self(owner, channel)) as messages:
                    async for body in messages:
                        if mark in body and (message := Message(body)).is_end and message.event["run"] >= run:
                            return body
                continue
            await asyncio.sleep(_AGAIN_SECONDS)

    async def close(self) -> None:
        """When all readers have gone: what they were told is noted."""
        self._agenda.clear()
        for task in self._tasks:
            task.cancel()
        waiting = {*self._tasks, self._noting} - {None}
        if waiting:
            await asyncio.wait(waiting, timeout=_CLOSE_SECONDS)  # type: ignore[type-var]  # None was taken out

    # ------------------------------------------------------------------------------------------------ joining

    async def _fill(self, reader: Reader, after: Position | None, mailbox: Mailbox) -> None:
        try:
            await self._follow(reader, await self._join(reader), after)
        except Exception as error:  # noqa: BLE001 - whoever takes from the mailbox raises it
            mailbox.fail(error)

    async def _join(self, reader: Reader, reopen: Callable[[], Awaitable[None]] | None = None) -> ChannelState:
        try:
            await self._hub.join(reader)
            return await self._state(reader, reopen)
        except BaseException:
            reader.detach()
            raise

    async def _state(self, reader: Reader, reopen: Callable[[], Awaitable[None]] | None) -> ChannelState:
        state = await self._history.state(reader)
        if state is None and reopen is not None:
            await reopen()
            state = await self._history.state(reader)
        if state is None:
            raise NotFound(detail="no such channel")
        return state

    async def _follow(self, reader: Reader, state: ChannelState, after: Position | None) -> None:
        try:
            await self._begin(reader, state, after)
            await self._history.tell(reader, state)
            if state.busy:
                await self._history.tell_progress(reader)
        except BaseException:
            reader.detach()
            raise
        if not reader.settle():
            self._start(reader, self._heal(reader))

    async def _begin(self, reader: Reader, state: ChannelState, after: Position | None) -> None:
        if state.restarted or not state.registered:
            reader.look()
        if after is None:
            start = max(state.mark, state.first - 1)
            reader.epoch, reader.offset = state.epoch_of(start), start
            if reader.told is not None:
                reader.told.lost = not state.registered  # opened anew after a wipe, perhaps
            return
        reader.epoch, reader.offset = after
        if not state.goes_on_after(after):
            return
        if after.offset:
            await self._past(reader)
        else:  # what `channel.recovered` hands out: ends were shown then, and no stream has them
            reader.look()
            if reader.told is not None:
                reader.told.lost = True

    async def _past(self, reader: Reader) -> None:
        """Who goes on after an end was told that end."""
        before = await self._channels.read(*reader.channel, after=reader.offset - 1, limit=1)
        reader.told = reader.told or Told()
        if before and before[0][0] == reader.offset:
            last = Message(before[0][1], reader.epoch, reader.offset)
            reader.told.admits(last)
        else:
            reader.told.an_end = True  # perhaps: it is not kept any more
        if reader.told.an_end:
            self.linger(reader)

    # ------------------------------------------------------------------------------------------------ what readers ask for

    def catch_up(self, reader: Reader) -> None:
        self._start(reader, self._heal(reader))

    def linger(self, reader: Reader) -> None:
        self._put(reader, LINGER_SECONDS)

    def look(self, reader: Reader) -> None:
        if reader not in self._agenda:
            self._put(reader, _LOOK_SECONDS)

    def left(self, reader: Reader, told: int) -> None:
        self._hub.leave(reader)
        self._agenda.drop(reader)
        if reader.epoch and told > 0:
            self._gone.append((reader.channel, Position(reader.epoch, told)))
            if self._noting is None:
                self._noting = asyncio.create_task(self._note())

    async def _note(self) -> None:
        """One after the other, for all: when a network breaks, thousands go at once."""
        while self._gone:
            channel, told = self._gone.popleft()
            with suppress(Unavailable):
                await self._channels.told(*channel, told)
        self._noting = None

    # ------------------------------------------------------------------------------------------------ what takes time

    async def _heal(self, reader: Reader) -> None:
        """Until the reader follows what is live again."""
        held = reader.held
        while held is not None and reader.outlet is not None:
            if held.missed:
                held.missed = False  # first, since more may be missed while we read
                try:
                    GAPS_HEALED.inc(await self._history.tell(reader))
                except Unavailable:
                    held.miss()
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
            if reader.settle():
                return

    def _put(self, reader: Reader, seconds: float) -> None:
        if reader.told is not None and reader.outlet is not None:
            reader.told.pause = seconds
            self._agenda.put(reader, seconds)

    def _ring(self, reader: Reader) -> None:
        if reader.held is not None:  # it is being caught up
            self._put(reader, LINGER_SECONDS)
        else:
            reader.held = Held()
            self._start(reader, self._look_after(reader, reader.held))

    async def _look_after(self, reader: Reader, held: Held) -> None:
        """Nothing came for a while; perhaps there is nothing more to tell."""
        told = reader.told or Told()
        pause = min(2 * told.pause, _LONGEST_PAUSE_SECONDS)
        try:
            state = await self._history.state(reader)
            told.looks |= state is not None and state.restarted and not told.looked  # the sweep may not have said so yet
            if (reader.epoch, reader.offset) != ((state.epoch, state.head) if state else UNKNOWN):
                held.miss()
            elif not await self._show_ends(reader, told, state) and await self._is_over(reader, state, told) and not (held or held.missed):
                reader.close()
                return
        except Unavailable:
            pause = LINGER_SECONDS
        if (told.an_end or told.looks) and reader not in self._agenda:
            self._put(reader, pause)
        await self._heal(reader)

    async def _show_ends(self, reader: Reader, told: Told, state: ChannelState | None) -> bool:
        """Snapshots of what ended without a word, where that may be. False when there was none."""
        if not told.looks:
            return False
        async with self._looks:
            found = await self._snapshots(*reader.channel)
            said = await self._channels.ends(*reader.channel) if state is not None and not told.lost else set()
        told.looked = True
        told.looks = not reader.epoch or not all(each.is_settled for each in found)
        unsaid = [each for each in found if each.is_settled and each.of not in told and each.of not in said]
        if state is not None and state.began is not None and not told.lost:
            unsaid = [each for each in unsaid if each.ended_at is not None and each.ended_at >= state.began - _CLOCKS]
        for each in unsaid:
            told.show(each)
            reader.say(each.event.to_json())
        return bool(unsaid)

    async def _is_over(self, reader: Reader, state: ChannelState | None, told: Told) -> bool:
        if not told.an_end or (state is not None and not is_over(state, told)):
            return False
        if state is not None and not await self._doubts():
            return True
        return all(each.is_settled or each.of in told for each in await self._snapshots(*reader.channel))

    async def _doubts(self) -> bool:
        """Whether something may be open that Redis does not know: accepted while it was away, or lost in a wipe. Then the inbox is asked."""
        return self._hub.has_missed(within_seconds=_DOUBT_SECONDS) or not await self._channels.is_whole()

    def _start(self, reader: Reader, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                log.error("a reader broke", exc_info=task.exception())
                reader.close(1011)

        task.add_done_callback(done)
        return task


class _Patient(Reader):
    """Waits for its mailbox to be emptied, and goes on from the history; a socket is cut off instead."""

    __slots__ = ()

    def tell(self, message: Message) -> None:
        if self.held is None and isinstance(self.outlet, Mailbox) and self.outlet.is_full:
            OVERRUNS.inc()
            self.miss()
        super().tell(message)
