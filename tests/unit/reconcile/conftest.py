"""A reconciler over memory: the parts of a worker, and what tests put into its store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.memory import MemoryObjectStore
from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.adapters.redis.calls import Terms
from app.domain.ids import OwnerId
from app.domain.layout import marker_key, object_key, result_key
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.protocol import inbox
from tests.s3_policy import Permitted
from tests.unit.doubles import ADA, CHANNEL, a_record, a_success, announcer
from worker.pipeline.run import Parts
from worker.reconcile.sweep import Ages

DAY = timedelta(days=1)
AGES = Ages(DAY, 30 * DAY)


@dataclass
class Fleet:
    scratch: Path
    store: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    memory: MemoryState = field(default_factory=lambda: MemoryState(Terms(turns=4)))

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.memory)

    def parts(self, *, store: Any = None, ledger: Any = None) -> Parts:
        return Parts(Permitted(store or self.store, "worker"), ledger or self.ledger, Any, announcer(), self.scratch, 1 << 30, lease_seconds=30)

    def put(self, key: str, *, age: timedelta = timedelta(), body: bytes = b"abc") -> str:
        """An object that was written so long ago."""
        self.store.put(key, body)
        self.make_older(key, age)
        return key

    def make_older(self, key: str, age: timedelta) -> None:
        body, seen = self.store._objects[key]
        self.store._objects[key] = (body, type(seen)(seen.size, seen.media_type, seen.modified - age))

    def accepted(self, source: str, *, age: timedelta = timedelta(), owner: OwnerId = ADA, known: bool = False, **more: Any) -> InboxRecord:
        """Bytes and inbox record; `known`: and opened in the ledger."""
        record = a_record(source, **more)
        self.put(object_key(owner, record.upload), age=age)
        assert inbox.create(self.store, owner, record)
        self.make_older(f"inbox/{owner}~{source}", age)
        if known:
            assert self.ledger.accept(owner, record)
        return record

    def ended(self, source: str, *, age: timedelta = timedelta(), owner: OwnerId = ADA, result: RunResult | None = None, **more: Any) -> RunResult:
        """All that a run leaves."""
        record = a_record(source, **more)
        made = result or a_success(record, owner=owner)
        for artifact in made.artifacts.values():
            self.put(artifact.key, age=age)
        self.put(result_key(owner, record.source_uuid, record.run), age=age, body=made.to_json())
        self.put(marker_key(CHANNEL, owner, record.source_uuid), age=age)
        return made

    def everything(self) -> set[str]:
        return set(self.store.keys(""))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)
