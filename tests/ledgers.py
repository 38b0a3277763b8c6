"""The ledgers that the suites run over, each through one object, and what is put into them."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from redis import Redis

from app.adapters.memory_channels import AsyncMemoryLedger
from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import AsyncRedisLedger, RedisLedger
from app.domain.events import Outcome, SourceFailed, SourceProcessing, SourceProgress, SourceSucceeded
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId, new_fence, owner_id
from app.domain.jobs import Lane
from app.domain.source import InboxRecord, State
from app.ports import Claim, Due

KINDS = ("memory", "memory-async", "redis", "redis-async")
OWNER, STRANGER = owner_id("acme", "ann"), owner_id("acme", "bob")
SOURCE, WS = SourceId("s-1"), ChannelId("ws-1")


class LedgerFaces:
    """Both faces over one state. A method goes to the face of the kind, or to the other when only that has it; a coroutine is run to its end."""

    def __init__(self, kind: str, sync: Any, asynchronous: Any, runner: asyncio.Runner) -> None:
        self._faces = (asynchronous, sync) if kind.endswith("-async") else (sync, asynchronous)
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        method = next(getattr(face, name) for face in self._faces if hasattr(face, name))

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            return self._runner.run(answer) if inspect.iscoroutine(answer) else answer

        return call

    def at_once(self, name: str, *args: Any, times: int) -> list[Any]:
        """What so many calls of an asynchronous method answer that are under way together."""
        method = getattr(next(face for face in self._faces if hasattr(face, name)), name)

        async def gather() -> list[Any]:
            return await asyncio.gather(*(method(*args) for _ in range(times)))

        return self._runner.run(gather())

    def queued(self) -> list[Due]:
        """The jobs that were sent and nobody took, lane by lane, oldest first."""
        raise NotImplementedError

    def pop(self, lane: Lane = Lane.FAST) -> None:
        """A worker takes the oldest message of the lane."""
        raise NotImplementedError

    def wipe(self) -> None:
        """Everything is gone, as after a FLUSHALL."""
        raise NotImplementedError

    def written(self) -> Any:
        """As much as is on disk now, for `restart`."""
        raise NotImplementedError

    def restart(self, written: Any) -> None:
        """The server ends and comes back with that, and with nothing that came later."""
        raise NotImplementedError

    def pass_time(self, seconds: int) -> None:
        """All leases, graces and holds are so much older. What expires by itself in Redis does not."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for face in self._faces:
            answer = face.close()
            if inspect.iscoroutine(answer):
                self._runner.run(answer)
        self._runner.close()


class _Workforce:
    """The synchronous face: what only the reconciler asks goes over its connection, the rest over a worker's."""

    _RECONCILES = frozenset(
        {"accept", "forget", "due", "running", "requeue", "queueing", "wake", "unopened", "begin_scan", "end_scan", "is_whole", "lead", "ping"}
    )

    def __init__(self, worker: RedisLedger, reconciler: RedisLedger) -> None:
        self._worker, self._reconciler = worker, reconciler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reconciler if name in self._RECONCILES else self._worker, name)

    def close(self) -> None:
        self._worker.close()
        self._reconciler.close()


class MemoryFaces(LedgerFaces):
    def __init__(self, kind: str, terms: Terms) -> None:
        self._ahead = timedelta()
        self._memory = MemoryState(terms, lambda: datetime.now(UTC) + self._ahead)
        super().__init__(kind, MemoryLedger(self._memory), AsyncMemoryLedger(self._memory), asyncio.Runner())

    def queued(self) -> list[Due]:
        return sorted(self._memory.enqueued, key=lambda due: list(Lane).index(due.lane))

    def pop(self, lane: Lane = Lane.FAST) -> None:
        self._memory.enqueued.remove(next(due for due in self._memory.enqueued if due.lane is lane))

    def wipe(self) -> None:
        self._memory.wipe()

    def written(self) -> Any:
        return self._memory.written()

    def restart(self, written: Any) -> None:
        self._memory.restart(written)

    def pass_time(self, seconds: int) -> None:
        self._ahead += timedelta(seconds=seconds)


class RedisFaces(LedgerFaces):
    """`raw` is a plain client, and `keys` are the names that the ledger uses. `url_of` says where a user of deploy/redis-users.acl logs in."""

    def __init__(
        self, kind: str, url: str, prefix: str, terms: Terms, raw: Redis, *, timeout_seconds: float = 10, url_of: Callable[[str], str] | None = None
    ) -> None:
        calls = Calls(Keyspace(prefix), terms)
        api, worker, reconciler = (RedisLocation(url_of(user) if url_of else url, timeout_seconds) for user in ("api", "worker", "reconciler"))
        sync = _Workforce(RedisLedger(BlockingCommands(worker), calls), RedisLedger(BlockingCommands(reconciler), calls))
        super().__init__(kind, sync, AsyncRedisLedger(Commands(api), calls), asyncio.Runner())
        self.raw, self.keys, self.terms = raw, calls.keys, terms
        self._bytes = Redis.from_url(url)

    def __exit__(self, *exception: object) -> None:
        self._bytes.close()
        super().__exit__(*exception)

    def queued(self) -> list[Due]:
        found = []
        for lane in Lane:
            for message in map(json.loads, reversed(self.raw.lrange(self.keys.queue(lane.queue), 0, -1))):
                assert message["properties"]["delivery_info"]["routing_key"] == lane.queue
                kwargs = json.loads(base64.b64decode(message["body"]))[1]
                found.append(Due(kwargs["owner"], kwargs["source"], kwargs["run"], lane))
        return found

    def pop(self, lane: Lane = Lane.FAST) -> None:
        assert self.raw.rpop(self.keys.queue(lane.queue))

    def names(self) -> list[str]:
        return sorted(self.raw.scan_iter(match=f"{self.keys.prefix}*"))

    def wipe(self) -> None:
        if names := self.names():
            self.raw.delete(*names)

    def written(self) -> Any:
        """Expiry is not kept."""
        return {name: self._bytes.dump(name) for name in self.names()}

    def restart(self, written: Any) -> None:
        """The server does not end (others use it), but what a channel remembers of its life is that of another."""
        self.wipe()
        for name, value in written.items():
            self._bytes.restore(name, 0, value)
            if name.startswith(self.keys.channel(OwnerId(""), ChannelId("")).rstrip("~")):
                self.raw.hset(name, "life", new_fence())

    def pass_time(self, seconds: int) -> None:
        for name in self.names():
            if name.startswith(self.keys.sources):
                if int(self.raw.hget(name, "lease") or 0):
                    self.raw.hincrby(name, "lease", -1000 * seconds)
            elif self.raw.type(name) == "zset":
                for member in self.raw.zrange(name, 0, -1):
                    self.raw.zincrby(name, -1000 * seconds, member)


def record(source: SourceId = SOURCE, *, run: int = 1, ws: ChannelId = WS, size: int | None = 1) -> InboxRecord:
    return InboxRecord(source_uuid=source, run=run, ws_uuid=ws, upload=UploadId("u"), digest="d", size=size, filename="f", base_url="http://h")


def milestone(of: InboxRecord, message: str = "working", *, attempt: int = 1) -> SourceProcessing:
    return SourceProcessing(source_uuid=of.source_uuid, run=of.run, message=message, type=of.kind, attempt=attempt, progress=0)


def progress(of: InboxRecord, percent: int) -> SourceProgress:
    return SourceProgress(
        source_uuid=of.source_uuid, run=of.run, message="working", type=of.kind, attempt=1, stage="extract", progress=percent, stage_progress=0
    )


def success(of: InboxRecord) -> SourceSucceeded:
    outcome = Outcome(source_id=of.source_uuid, filename="f", url="http://h/d/x", size=1)
    return SourceSucceeded(source_uuid=of.source_uuid, run=of.run, result=outcome, type=of.kind, attempt=1)


def failure(of: InboxRecord) -> SourceFailed:
    return SourceFailed(source_uuid=of.source_uuid, run=of.run, error="Error", type=of.kind, code="internal", retryable=True, attempt=1)


def events(ledger: LedgerFaces, owner: OwnerId = OWNER, ws: ChannelId = WS) -> list[dict[str, Any]]:
    """The milestones of the channel, read back. Their offsets and event-ids are checked on the way."""
    found, state = ledger.read(owner, ws, after=0), ledger.state(owner, ws)
    out = [json.loads(body) for _, body in found]
    assert [offset for offset, _ in found] == list(range(1, len(found) + 1))
    assert state is None or (state.head == len(found) and [e["event-id"] for e in out] == [f"{state.epoch_of(n)}:{n}" for n, _ in found])
    return out


def told(ledger: LedgerFaces, owner: OwnerId = OWNER, ws: ChannelId = WS) -> list[str]:
    """The kinds of those milestones, short: accepted, processing, succeeded, failed."""
    return [event["event"].removeprefix("source.") for event in events(ledger, owner, ws)]


def state_of(ledger: LedgerFaces, owner: OwnerId = OWNER, source: SourceId = SOURCE) -> State | None:
    found = ledger.record(owner, source)
    return found and found.state


def whats(ledger: LedgerFaces, run: int = 1) -> list[tuple[str, int]]:
    """The timeline, without its times."""
    return [(moment.what, moment.attempt) for moment in ledger.timeline(OWNER, SOURCE, run)]


def take(ledger: LedgerFaces, of: InboxRecord | None = None, worker: str = "w", **more: Any) -> tuple[Fence, Claim]:
    """Claims the run: the fence, and the answer."""
    fence = new_fence()
    return fence, ledger.claim(OWNER, of or record(), fence=fence, worker=worker, **more)
