"""What the inside is tested with: records and results, a store and a ledger that refuse on command, a live feed in memory, and all services on top."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.adapters.memory import MemoryObjectStore
from app.adapters.memory_channels import AsyncMemoryLedger
from app.adapters.memory_ledger import MemoryState
from app.adapters.memory_rate_limits import MemoryRateLimits
from app.domain.errors import HeadraceError, Unavailable
from app.domain.identity import ApiKey, Scope
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId, new_fence, new_upload, owner_id
from app.domain.layout import artifact_key, object_key
from app.domain.policy import MIB, UploadPolicy
from app.domain.results import Artifact, RunResult, carried, failed
from app.domain.source import InboxRecord, State
from app.protocol.announce import Announcer
from app.services.accept import Accept
from app.services.access import Access
from app.services.budget import BufferBudget
from app.services.conclude import Conclude
from app.services.health import Health
from app.services.hub import Hub
from app.services.offload import Offload
from app.services.owed import Owed
from app.services.reprocess import Reprocess
from app.services.runs import Runs
from app.services.snapshots import Snapshots
from app.services.sockets import SocketLimits, Sockets
from app.services.sources import Sources
from app.services.subscribe import Subscribe
from app.services.synchronous import Synchronous
from app.services.upload import Upload
from tests.s3_policy import Permitted

KEY = "key-of-acme"
USER = "ada@example.com"
ADA = owner_id("acme", USER)
EVE = owner_id("acme", "eve@example.com")
SOURCE = SourceId("s-1")
CHANNEL = ChannelId("w-1")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "s" * 32


def a_record(source: str = SOURCE, **changes: Any) -> InboxRecord:
    known = {
        "source_uuid": source, "ws_uuid": CHANNEL, "upload": new_upload(), "digest": "d1", "size": 3, "filename": "a.txt",
        "base_url": "http://h", "accepted_at": NOW,
    }  # fmt: skip
    return InboxRecord(**known | changes)


def a_success(record: InboxRecord, *, owner: OwnerId = ADA, fence: Fence | None = None, **changes: Any) -> RunResult:
    fence = fence or new_fence()
    text = artifact_key(owner, record.source_uuid, record.run, fence, "text")
    artifacts = {
        "original": Artifact(key=object_key(owner, record.upload), size=3, media_type="text/plain", filename=record.filename),
        "text": Artifact(key=text, size=3, media_type="text/plain", filename="text.txt"),
    }
    known = carried(record) | {"fence": fence, "state": State.SUCCEEDED, "attempt": 1, "artifacts": artifacts, "committed_at": NOW}
    return RunResult(**known | changes)


def a_failure(record: InboxRecord, code: str = "malformed", *, owner: OwnerId = ADA) -> RunResult:
    return failed(owner, record, code, fence=new_fence(), attempt=1)


def announcer() -> Announcer:
    return Announcer([SECRET], timedelta(hours=1), lambda: NOW)


def contents(store: MemoryObjectStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.keys("")}


class Troubled:
    """The store behind it, whose call number `refuse_at` (from 1) raises Unavailable: instead of acting, or after it acted (`late`).

    Transfers count too. `refuse_all` names methods that refuse every time.
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.calls: list[str] = []
        self.refuse_at = 0
        self.late = False
        self.refuse_all: set[str] = set()
        self._lock = threading.Lock()

    def reset(self, refuse_at: int = 0, *, late: bool = False) -> None:
        self.calls, self.refuse_at, self.late = [], refuse_at, late

    def __getattr__(self, name: str) -> Any:
        return self._troubled(self.store, name)

    def _troubled(self, target: Any, name: str) -> Any:
        found = getattr(target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.calls.append(name)
                now = len(self.calls) == self.refuse_at or name in self.refuse_all
            if now and not self.late:
                raise Unavailable("storage_unavailable")
            if now:
                with contextlib.suppress(HeadraceError):
                    found(*args, **kwargs)
                raise Unavailable("storage_unavailable")
            answer = found(*args, **kwargs)
            return _Transfer(self, answer) if name == "start" else answer

        return call


class _Transfer:
    def __init__(self, trouble: Troubled, transfer: Any) -> None:
        self._trouble, self._transfer = trouble, transfer

    def put_part(self, *args: Any) -> None:
        self._trouble._troubled(self._transfer, "put_part")(*args)

    def complete(self) -> None:
        self._trouble._troubled(self._transfer, "complete")()

    def abort(self) -> None:
        self._transfer.abort()


class Ledger(AsyncMemoryLedger):
    """In memory; with `away` set it refuses everything. `enqueued` and the streams are in `memory`."""

    def __init__(self, memory: MemoryState | None = None) -> None:
        self.memory = memory or MemoryState()
        self.memory.whole = True  # a reconciler has looked through the inbox
        self.away = False
        super().__init__(self.memory)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in {"away", "memory", "told_events"} and object.__getattribute__(self, "away"):
            raise Unavailable("redis_unavailable")
        return object.__getattribute__(self, name)

    def told_events(self, owner: OwnerId = ADA, channel: ChannelId = CHANNEL) -> list[bytes]:
        """Everything in the channel's stream."""
        found = self.memory.channels.get((owner, channel))
        return list(found.stream) if found else []


class Keys:
    def find(self, key: str) -> ApiKey | None:
        return {
            KEY: ApiKey("acme"), "key-of-other": ApiKey("other"), "key-to-upload": ApiKey("acme", frozenset({Scope.UPLOAD})),
            "key-to-read": ApiKey("acme", frozenset({Scope.READ})),
        }.get(key)  # fmt: skip


class RateLimits(MemoryRateLimits):
    """In memory; with `away` set it refuses everything."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        if name in {"take", "spend"} and object.__getattribute__(self, "away"):
            raise Unavailable("redis_unavailable")
        return object.__getattribute__(self, name)


class Feed:
    """A LiveFeed that tells what `publish` and `lose` are given, to those who watch."""

    def __init__(self) -> None:
        self.watched: set[tuple[OwnerId, ChannelId]] = set()
        self.refuses = False
        self._queue: deque[tuple[OwnerId, ChannelId, bytes] | None] = deque()
        self._more = asyncio.Event()

    async def watch(self, owner: OwnerId, channel: ChannelId) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise Unavailable("redis_unavailable")
        self.watched.add((owner, channel))
        await asyncio.sleep(0)

    def unwatch(self, owner: OwnerId, channel: ChannelId) -> None:
        self.watched.discard((owner, channel))

    def publish(self, owner: OwnerId, channel: ChannelId, message: bytes) -> None:
        if (owner, channel) in self.watched:
            self._queue.append((owner, channel, message))
            self._more.set()

    def lose(self) -> None:
        """The connection is made anew: what was on its way is gone."""
        self._queue.clear()
        self._queue.append(None)
        self._more.set()

    async def run(self, tell: Callable[[OwnerId, ChannelId, bytes], None], missed: Callable[[], None], watched: object) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                message = self._queue.popleft()
                if message is None:
                    missed()
                else:
                    tell(*message)
                await asyncio.sleep(0)


@dataclass
class House:
    """All services over memory, with the API's rights to the store. Use it in `async with`, which runs the hub."""

    inner: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    policy: UploadPolicy = field(default_factory=lambda: UploadPolicy(max_upload_bytes=20 * MIB))
    budget_bytes: int = 64 * MIB
    sync_seconds: float = 5.0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.store = Troubled(Permitted(self.inner, "api"))
        self.offload = Offload(4)
        self.announcer = announcer()
        self.owed = Owed(self.ledger, pause_seconds=0)
        self.access = Access(Keys(), self.ledger, self.store, self.offload, self.owed, [SECRET], lambda: NOW)
        self.health = Health(self.ledger, self.store, self.offload)
        self.rate_limits = RateLimits()
        self.sockets = Sockets(SocketLimits(2, 3, 4))
        self.conclude = Conclude(self.store, self.ledger, self.offload, self.announcer)
        self.accept = Accept(self.store, self.ledger, self.offload, self.announcer, self.owed, self.conclude)
        self.runs = Runs(self.store, self.ledger, self.offload, self.conclude, self.accept)
        self.budget = BufferBudget(self.budget_bytes)
        self.upload = Upload(self.store, self.offload, self.budget, self.access, self.ledger, self.accept, self.policy)
        self.sources = Sources(self.store, self.ledger, self.offload, self.announcer)
        self.reprocess = Reprocess(self.sources, self.runs)

    async def __aenter__(self) -> House:
        self.feed = Feed()
        self.hub = Hub(self.feed, self.ledger)
        self.snapshots = Snapshots(self.ledger, self.sources, self.store, self.offload)
        self.subscribe = Subscribe(self.ledger, self.hub, self.snapshots)
        self.synchronous = Synchronous(self.store, self.offload, self.subscribe, self.sync_seconds)
        self._listening = asyncio.gather(self.hub.run(), self.owed.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        await self.subscribe.close()
        await self.health.close()
        self.offload.close()

    def stage(self, record: InboxRecord, body: bytes = b"abc", owner: OwnerId = ADA) -> InboxRecord:
        """The record's bytes are in the store."""
        self.inner.put(object_key(owner, record.upload), body)
        return record

    def objects(self, owner: OwnerId = ADA) -> set[UploadId]:
        return {UploadId(name) for name in self.inner.names(f"objects/{owner}/")}

    def bytes_of(self, record: InboxRecord, owner: OwnerId = ADA) -> bytes:
        """What was uploaded, wherever it is: in its object, or still in the record."""
        return self.inner.get(object_key(owner, record.upload)) if record.body is None else record.body

    def inbox(self) -> list[str]:
        return self.inner.names("inbox/")


@contextlib.contextmanager
def closing(offload: Offload) -> Iterator[Offload]:
    try:
        yield offload
    finally:
        offload.close()
