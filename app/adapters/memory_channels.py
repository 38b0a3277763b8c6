"""The asynchronous face of memory_ledger.py: what the API sees of runs and channels."""

from __future__ import annotations

from collections.abc import Sequence

from app.adapters.memory_ledger import END, MemoryChannel, MemoryLedger, MemoryState
from app.domain.channel import ChannelState, Heads, Registration
from app.domain.events import Milestone, SourceReceiving
from app.domain.ids import ChannelId, OwnerId, SourceId, UploadId
from app.domain.position import Position
from app.domain.results import Moment
from app.domain.source import InboxRecord, State
from app.ports import LedgerRecord


class AsyncMemoryLedger:
    """Implements ports.AsyncLedger and ports.Channels."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._sync = MemoryLedger(state)

    async def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None) -> bool:
        return self._sync.accept(owner, record, receiving=receiving)

    async def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool:
        return self._sync.finish(owner, record, event, state=state)

    async def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None:
        return self._sync.record(owner, source)

    async def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]:
        return self._sync.timeline(owner, source, run)

    async def place(self, owner: OwnerId, source: SourceId) -> int | None:
        return self._sync.place(owner, source)

    async def backlog(self, owner: OwnerId) -> int:
        with self._state.lock:
            return self._state.turns.backlog(owner)

    async def forget(self, owner: OwnerId, source: SourceId) -> None:
        self._sync.forget(owner, source)

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def register(self, owner: OwnerId, channel: ChannelId, *, explicit: bool, keep_open: bool | None = None, expect: int | None = None) -> Registration:
        s = self._state
        with s.lock:
            before = s.aliases.get(channel)
            if before not in {None, owner}:
                return Registration(before or owner, new=False)
            found = self._open(owner, channel)
            if explicit:
                if found.registered:
                    found.mark = max(found.mark, found.told)
                if keep_open is not None or expect is not None or len(found.fates) >= found.expected:
                    found.begin_count(expect, anew=found.registered)
                found.registered = True
                found.keep_open = found.keep_open and expect is None
            if keep_open is not None:
                found.keep_open = keep_open
            return Registration(owner, new=before is None)

    async def restore(self, owner: OwnerId, channel: ChannelId) -> None:
        with self._state.lock:
            self._open(owner, channel)

    async def reopen(self, owner: OwnerId, channel: ChannelId) -> None:
        s = self._state
        with s.lock:
            s.aliases.setdefault(channel, owner)
            s.opened(owner, channel)

    def _open(self, owner: OwnerId, channel: ChannelId) -> MemoryChannel:
        self._state.aliases[channel] = owner
        return self._state.opened(owner, channel)

    async def is_whole(self) -> bool:
        return self._sync.is_whole()

    async def resolve(self, channel: ChannelId) -> OwnerId | None:
        return self._state.aliases.get(channel)

    async def put_ticket(self, ticket: str, owner: OwnerId, channel: ChannelId, *, seconds: int) -> None:
        self._state.tickets.setdefault(ticket, (owner, channel, self._state.in_(seconds)))

    async def take_ticket(self, ticket: str) -> tuple[OwnerId, ChannelId] | None:
        owner, channel, until = self._state.tickets.pop(ticket, (None, None, None))  # one step, also among threads
        return (owner, channel) if owner and channel and until and until > self._state.clock() else None

    async def receiving(self, owner: OwnerId, channel: ChannelId, upload: UploadId, *, seconds: int) -> None:
        with self._state.lock:
            self._state.channel(owner, channel).receiving[upload] = self._state.in_(seconds)

    async def receipt(self, owner: OwnerId, channel: ChannelId, event: SourceReceiving) -> None:
        pass

    async def is_open(self, owner: OwnerId, channel: ChannelId) -> bool:
        return await self.state(owner, channel) is not None

    async def state(self, owner: OwnerId, channel: ChannelId) -> ChannelState | None:
        s = self._state
        with s.lock:
            found = s.channels.get((owner, channel))
            if found is None or not found.open:
                return None
            received = sum(until > s.clock() for until in found.receiving.values())
            return ChannelState(
                owner, len(found.stream), found.epoch, found.mark, found.keep_open, len(found.busy) + received, found.first, found.registered, found.expected,
                len(found.fates), tuple(found.past), bool(found.past) or found.life != s.life, found.began,
            )  # fmt: skip

    async def heads(self, channels: Sequence[tuple[OwnerId, ChannelId]]) -> Heads:
        states = [await self.state(owner, channel) for owner, channel in channels]
        return Heads([state.last if state else None for state in states], self._state.life)

    async def told(self, owner: OwnerId, channel: ChannelId, last: Position) -> None:
        with self._state.lock:
            found = self._state.channels.get((owner, channel))
            ends = dict([*found.past, (found.epoch, len(found.stream))]) if found else {}
            if found is not None and last.offset <= ends.get(last.epoch, 0):
                found.told = max(found.told, last.offset)

    async def read(self, owner: OwnerId, channel: ChannelId, *, after: int, limit: int = 500) -> list[tuple[int, bytes]]:
        with self._state.lock:
            found = self._state.channel(owner, channel)
            after = max(after, found.first - 1)
            return list(enumerate(found.stream[after : after + limit], after + 1))

    async def sources(self, owner: OwnerId, channel: ChannelId) -> list[SourceId]:
        with self._state.lock:
            found = self._state.channels.get((owner, channel))
            return list(found.latest) if found else []

    async def ends(self, owner: OwnerId, channel: ChannelId) -> set[tuple[SourceId, int]]:
        with self._state.lock:
            found = self._state.channels.get((owner, channel))
            return {(source, at[0]) for source, at in found.latest.items() if at[1] == END} if found else set()

    async def latest_progress(self, owner: OwnerId, channel: ChannelId) -> list[bytes]:
        with self._state.lock:
            return list(self._state.channel(owner, channel).progress.values())
