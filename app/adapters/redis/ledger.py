"""The ledger over Redis: two thin drivers of calls.py, one for workers and one for the API, and the channels beside the latter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.breaker import Breaker
from app.adapters.redis.calls import Call, Calls, ended_runs, ledger_record
from app.adapters.redis.client import unavailable
from app.adapters.redis.commands import Commands
from app.domain.channel import ChannelState, Heads, Registration
from app.domain.events import Milestone, SourceProgress, SourceReceiving
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId
from app.domain.jobs import Lane
from app.domain.position import Position
from app.domain.results import Moment
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.ports import Claim, Due, LedgerRecord

T = TypeVar("T")

_PING_SECONDS = 60


def _hash(answer: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


class RedisLedger:
    """Implements ports.Ledger."""

    def __init__(self, redis: BlockingCommands, calls: Calls) -> None:
        self._redis = redis
        self._calls = calls

    def _run(self, call: Call[T]) -> T:
        with unavailable():
            return call.parse(self._redis.run(call.script, call.keys, call.args))

    def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None, again: bool = False) -> bool:
        return self._run(self._calls.accept(owner, record, receiving, again=again))

    def claim(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, dead_worker: str = "") -> Claim:
        return self._run(self._calls.claim(owner, record, fence, worker, dead_worker))

    def beat(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int) -> bool:
        return self._run(self._calls.beat(owner, record, fence, worker, attempt))

    def release(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, overran: bool = False) -> bool:
        return self._run(self._calls.release(owner, record, fence, overran=overran))

    def defer(self, owner: OwnerId, source: SourceId, *, seconds: float) -> bool:
        return self._run(self._calls.defer(owner, source, seconds))

    def append(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, fence: Fence, attempt: int, seq: int, stage: Stage | None) -> bool:
        return self._run(self._calls.append(owner, record, event, fence, attempt, seq, stage))

    def progress(self, owner: OwnerId, record: InboxRecord, event: SourceProgress, *, fence: Fence) -> bool:
        return self._run(self._calls.progress(owner, record, event, fence))

    def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool:
        return self._run(self._calls.finish(owner, record, event, state))

    def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]:
        return self._run(self._calls.timeline(owner, source, run))

    def due(self, *, limit: int) -> list[Due]:
        return self._run(self._calls.due(limit))

    def running(self) -> list[tuple[Due, str]]:
        return self._run(self._calls.running())

    def requeue(self, due: Due, *, dead_worker: str = "") -> bool:
        return self._run(self._calls.requeue(due, dead_worker))

    def queueing(self) -> list[tuple[OwnerId, Lane]]:
        with unavailable():
            names = self._redis("SMEMBERS", self._calls.keys.queueing)
        found = (name.decode().partition("~") for name in sorted(names))
        return [(OwnerId(owner), Lane(lane)) for owner, _, lane in found]

    def wake(self, owner: OwnerId, lane: Lane) -> int:
        return self._run(self._calls.wake(owner, lane))

    def unopened(self, sources: Sequence[tuple[OwnerId, SourceId]]) -> list[tuple[OwnerId, SourceId]]:
        return self._run(self._calls.unopened(sources)) if sources else []

    def begin_scan(self, token: str) -> None:
        self._run(self._calls.scan(token, ends=False))

    def end_scan(self, token: str) -> None:
        self._run(self._calls.scan(token, ends=True))

    def is_whole(self) -> bool:
        with unavailable():
            return bool(self._redis("HEXISTS", self._calls.keys.scan, "whole"))

    def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None:
        with unavailable():
            return ledger_record(_hash(self._redis("HGETALL", self._calls.keys.source(owner, source))))

    def forget(self, owner: OwnerId, source: SourceId) -> None:
        self._run(self._calls.forget(owner, source))

    def lead(self, name: str, *, seconds: int) -> bool:
        return self._run(self._calls.lead(name, seconds))

    def ping(self) -> None:
        with unavailable():
            self._redis("SET", self._calls.keys.ping, b"", "EX", _PING_SECONDS)

    def close(self) -> None:
        self._redis.close()


class AsyncRedisLedger:
    """Implements ports.AsyncLedger and ports.Channels. With a breaker, a frozen server costs one call its timeout and the others nothing."""

    def __init__(self, redis: Commands, calls: Calls, breaker: Breaker | None = None) -> None:
        self._redis = redis
        self._calls = calls
        self._breaker = breaker

    async def _guarded(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        with unavailable():
            return await (ask() if self._breaker is None else self._breaker(ask))

    async def _run(self, call: Call[T]) -> T:
        return call.parse(await self._guarded(lambda: self._redis.run(call.script, call.keys, call.args)))

    async def _ask(self, *command: str | int | bytes) -> Any:
        return await self._guarded(lambda: self._redis(*command))

    async def _hash(self, key: str) -> dict[bytes, bytes]:
        return _hash(await self._ask("HGETALL", key))

    async def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None) -> bool:
        return await self._run(self._calls.accept(owner, record, receiving))

    async def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool:
        return await self._run(self._calls.finish(owner, record, event, state))

    async def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None:
        return ledger_record(await self._hash(self._calls.keys.source(owner, source)))

    async def place(self, owner: OwnerId, source: SourceId) -> int | None:
        return await self._run(self._calls.place(owner, source))

    async def backlog(self, owner: OwnerId) -> int:
        return await self._run(self._calls.backlog(owner))

    async def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]:
        return await self._run(self._calls.timeline(owner, source, run))

    async def forget(self, owner: OwnerId, source: SourceId) -> None:
        await self._run(self._calls.forget(owner, source))

    async def ping(self) -> None:
        await self._ask("SET", self._calls.keys.ping, b"", "EX", _PING_SECONDS)

    async def register(self, owner: OwnerId, channel: ChannelId, *, explicit: bool, keep_open: bool | None = None, expect: int | None = None) -> Registration:
        return await self._run(self._calls.register(owner, channel, explicit=explicit, keep_open=keep_open, expect=expect))

    async def restore(self, owner: OwnerId, channel: ChannelId) -> None:
        await self._run(self._calls.register(owner, channel, explicit=False, force="name"))

    async def reopen(self, owner: OwnerId, channel: ChannelId) -> None:
        await self._run(self._calls.register(owner, channel, explicit=False, force="channel"))

    async def is_whole(self) -> bool:
        return bool(await self._ask("HEXISTS", self._calls.keys.scan, "whole"))

    async def resolve(self, channel: ChannelId) -> OwnerId | None:
        owner = await self._ask("GET", self._calls.keys.alias(channel))
        return OwnerId(owner.decode()) if owner else None

    async def put_ticket(self, ticket: str, owner: OwnerId, channel: ChannelId, *, seconds: int) -> None:
        await self._ask("SET", self._calls.keys.ticket(ticket), f"{owner}~{channel}", "NX", "EX", seconds)

    async def take_ticket(self, ticket: str) -> tuple[OwnerId, ChannelId] | None:
        found = await self._ask("GETDEL", self._calls.keys.ticket(ticket))
        if found is None:
            return None
        owner, _, channel = found.decode().partition("~")
        return OwnerId(owner), ChannelId(channel)

    async def receiving(self, owner: OwnerId, channel: ChannelId, upload: UploadId, *, seconds: int) -> None:
        await self._run(self._calls.receiving(owner, channel, upload, seconds))

    async def receipt(self, owner: OwnerId, channel: ChannelId, event: SourceReceiving) -> None:
        await self._ask("PUBLISH", self._calls.keys.live(owner, channel), b"p " + event.to_json())

    async def is_open(self, owner: OwnerId, channel: ChannelId) -> bool:
        return bool(await self._ask("EXISTS", self._calls.keys.channel(owner, channel)))

    async def state(self, owner: OwnerId, channel: ChannelId) -> ChannelState | None:
        return await self._run(self._calls.state(owner, channel))

    async def heads(self, channels: Sequence[tuple[OwnerId, ChannelId]]) -> Heads:
        return await self._run(self._calls.heads(channels))

    async def told(self, owner: OwnerId, channel: ChannelId, last: Position) -> None:
        await self._run(self._calls.told(owner, channel, last))

    async def read(self, owner: OwnerId, channel: ChannelId, *, after: int, limit: int = 500) -> list[tuple[int, bytes]]:
        entries = await self._ask("XRANGE", self._calls.keys.stream(owner, channel), f"{after + 1}-0", "+", "COUNT", limit)
        return [(int(entry.partition(b"-")[0]), body) for entry, (_, body) in entries]

    async def sources(self, owner: OwnerId, channel: ChannelId) -> list[SourceId]:
        fields = await self._ask("HKEYS", self._calls.keys.channel(owner, channel))
        return [SourceId(field[2:].decode()) for field in fields if field.startswith(b"s:")]

    async def ends(self, owner: OwnerId, channel: ChannelId) -> set[tuple[SourceId, int]]:
        return ended_runs(await self._hash(self._calls.keys.channel(owner, channel)))

    async def latest_progress(self, owner: OwnerId, channel: ChannelId) -> list[bytes]:
        return list(await self._ask("HVALS", self._calls.keys.progress(owner, channel)))

    async def close(self) -> None:
        if self._breaker is not None:
            await self._breaker.close()
        await self._redis.close()
