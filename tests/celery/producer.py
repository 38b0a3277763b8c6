"""The API's half of the protocol: it accepts sources, and reads what became of them."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self

import xxhash

from app import wiring
from app.adapters.redis.client import connect
from app.adapters.redis.commands import Commands
from app.adapters.redis.ledger import AsyncRedisLedger
from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, SourceId, UploadId, new_upload, owner_id
from app.domain.jobs import Lane
from app.domain.layout import object_key, runs_prefix
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.protocol import inbox
from app.protocol.outcome import result
from app.settings import Settings
from tests.client import Event, ends, eventually
from worker import runtime
from worker.reconcile.sweep import Ages, Sweep


class Producer:
    def __init__(self, settings: Settings, user: str) -> None:
        self.owner = owner_id("acme", user)
        self._settings = settings
        self._parts = runtime.make(settings)
        self._calls = wiring.calls(settings)
        self._redis = connect(wiring.redis(settings))
        self.store = self._parts.store
        self.ledger = self._parts.ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()
        self.ledger.close()
        self.store.close()

    def accept(
        self, body: bytes = b"some words", *, filename: str = "a.txt", url: str | None = None, metadata: dict[str, str] | None = None,
        before_the_hint: Callable[[InboxRecord], None] | None = None,
    ) -> InboxRecord:  # fmt: skip
        """The bytes, the inbox record, and the hint; without the hint while Redis is away, or where the reconciler's scan was there first."""
        upload = new_upload()
        if url is None:
            self.store.put(object_key(self.owner, upload), body)
        record = _record(upload, body, filename, url, metadata or {})
        assert inbox.create(self.store, self.owner, record)
        if before_the_hint is not None:
            before_the_hint(record)
        with suppress(Unavailable):
            assert self.ledger.accept(self.owner, record) or self.ledger.record(self.owner, record.source_uuid)
        return record

    def end(self, record: InboxRecord, *, seconds: float = 60) -> Event:
        """Waits until the run has been said to be over, and answers the event that said it: one, the last, and after the commit."""
        eventually(lambda: inbox.read(self.store, self.owner, record.source_uuid) is None, seconds=seconds)
        events = self.events(record)
        ended = ends(events)
        assert events[-1:] == ended, events
        committed = self.result(record)
        assert (ended[0]["run"], ended[0]["attempt"]) == (committed.run, committed.attempt)
        return ended[0]

    def result(self, record: InboxRecord) -> RunResult:
        found = result(self.store, self.owner, record.source_uuid, record.run)
        assert found is not None, "nothing was committed"
        return found

    def events(self, record: InboxRecord) -> list[Event]:
        """All that the source's channel was told for good."""

        async def read() -> list[tuple[int, bytes]]:
            ledger = AsyncRedisLedger(Commands(wiring.redis(self._settings)), self._calls)
            try:
                return await ledger.read(self.owner, record.ws_uuid, after=0)
            finally:
                await ledger.close()

        return [json.loads(body) for _, body in asyncio.run(read())]

    def attempts(self, record: InboxRecord, what: str) -> list[int]:
        """Which attempts the source's timeline has under that word."""
        return [moment.attempt for moment in self.result(record).timeline if moment.what == what]

    def kept(self, record: InboxRecord) -> list[str]:
        """What the run's attempts left in the store, below the run."""
        prefix = f"{runs_prefix(self.owner, record.source_uuid)}{record.run}/"
        return [key.removeprefix(prefix) for key in self.store.keys(prefix)]

    def sweep(self) -> None:
        """The daily sweep, of everything however young."""
        now = datetime.now(UTC)
        Sweep(self._parts, Ages(timedelta(0), timedelta(days=30), None), now=now).run()

    def waiting(self) -> int:
        """Messages that no worker has taken."""
        return sum(self._redis.llen(self._calls.keys.queue(lane.queue)) for lane in Lane)

    def unacknowledged(self) -> int:
        """Messages that a worker has taken and not acknowledged."""
        return self._redis.hlen(self._calls.keys.queue("unacked"))


def _record(upload: UploadId, body: bytes, filename: str, url: str | None, metadata: dict[str, str]) -> InboxRecord:
    return InboxRecord(
        source_uuid=SourceId(str(uuid.uuid4())),
        ws_uuid=ChannelId(str(uuid.uuid4())),
        upload=upload,
        digest=xxhash.xxh3_128_hexdigest(url.encode() if url else body),
        size=None if url else len(body),
        filename=filename,
        url=url,
        metadata=metadata,
        base_url="http://127.0.0.1",
    )
