"""What the promise costs a small source: the whole pipeline, and the same stages on the same store without inbox, record, lease and commit.

In turns, in one process, one source at a time; clients are told the same in both. Counted is everything from the acceptance (without
HTTP) to the end: wall time, and the CPU of this process and of Redis.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import xxhash

from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, Fence, SourceId, new_upload, owner_id
from app.domain.layout import CHANNELS, INBOX, SOURCES
from app.domain.source import InboxRecord
from app.ports import Claim as Taken
from app.protocol import inbox
from app.settings import Settings
from bench.claim import Claim
from bench.proc import cpu_seconds
from bench.session import SECRET, Place, Session
from tests.client import eventually
from worker import runtime
from worker.pipeline import run as pipeline

_BODY = b"all work and no play makes a small source\n" * 100
_OWNER = owner_id("bench", "bench")
_BLOCK = 20
_WALL_MS = 15.0
_CPU_MS = 3.0


def run(session: Session) -> Iterator[Claim]:
    for kind in ("folder", "s3"):
        yield from _measured(session.place(kind), kind, 2 if session.quick else 20)


def _measured(place: Place, kind: str, blocks: int) -> Iterator[Claim]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
        settings = Settings(redis_url=place.redis_url, secret_keys=SECRET, scratch_dir=Path(scratch), **place.storage)
        parts = runtime.make(settings)
        eventually(lambda: _answers(parts))
        ways = {"with": _Safe(parts), "without": _Bare(parts)}
        walls: dict[str, list[float]] = {name: [] for name in ways}
        cpu = dict.fromkeys(ways, 0.0)
        for block in range(blocks + 1):
            for name, way in ways.items():
                before = _cpu(place)
                took = [way.source() for _ in range(_BLOCK)]
                if block:  # the first one warms up
                    walls[name] += took
                    cpu[name] += (_cpu(place) - before) / (blocks * _BLOCK)
        parts.ledger.close()
        parts.store.close()
    wall = {name: 1000 * median(walls[name]) for name in ways}
    cost = {name: 1000 * cpu[name] for name in ways}
    for what, figures, bound in (("wall time, median", wall, _WALL_MS), ("CPU", cost, _CPU_MS)):
        note = f"{figures['with']:.1f} with it, {figures['without']:.1f} without"
        yield Claim(f"{kind}: what safety adds to a small source, {what}", figures["with"] - figures["without"], "ms", bound=bound, note=note)


def _answers(parts: pipeline.Parts) -> bool:
    with suppress(Unavailable):
        parts.ledger.ping()
        return True
    return False


def _cpu(place: Place) -> float:
    return time.process_time() + cpu_seconds(place.redis_pid)


class _Safe:
    """As it is."""

    heartbeat = pipeline.Heartbeat

    def __init__(self, parts: pipeline.Parts) -> None:
        self._parts = parts

    def source(self) -> float:
        """Seconds for one of them, from its bytes to its end."""
        record = InboxRecord(
            source_uuid=SourceId(str(uuid.uuid4())), ws_uuid=ChannelId(str(uuid.uuid4())), upload=new_upload(), digest=xxhash.xxh3_128_hexdigest(_BODY),
            size=len(_BODY), filename="a.txt", base_url="http://127.0.0.1",
        ).packed(_BODY)  # fmt: skip
        began = time.perf_counter()
        self.accept(record)
        pipeline.Heartbeat = self.heartbeat  # type: ignore[misc]
        pipeline.process(self._parts, _OWNER, record.source_uuid)
        return time.perf_counter() - began

    def accept(self, record: InboxRecord) -> None:
        inbox.create(self._parts.store, _OWNER, record)
        self._parts.ledger.accept(_OWNER, record)


class _Bare(_Safe):
    """The same code, of which nothing of the protocol reaches store or Redis; what remains is the bytes, the text, one PUT of the result, and the events."""

    class heartbeat(pipeline.Heartbeat):  # noqa: N801 - it stands where its base does
        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def __init__(self, parts: pipeline.Parts) -> None:
        self._store = _NoProtocol(parts.store)
        super().__init__(replace(parts, store=self._store, ledger=_EventsAlone(parts.ledger)))

    def accept(self, record: InboxRecord) -> None:
        self._store.record = record.to_json()


class _EventsAlone:
    def __init__(self, ledger: Any) -> None:
        self.append, self.progress = ledger.append, ledger.progress

    def finish(self, owner: Any, record: InboxRecord, event: Any, *, state: Any) -> bool:  # noqa: ARG002 - no state is kept
        return bool(self.append(owner, record, event, fence=Fence(""), attempt=2, seq=1, stage=None))

    def claim(self, *_: Any, **__: Any) -> Taken:
        return Taken("ok", attempt=1)

    def timeline(self, *_: Any) -> list[Any]:
        return []

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: True


class _NoProtocol:
    def __init__(self, store: Any) -> None:
        self._inner = store
        self.record = b""

    def get(self, key: str) -> bytes:
        return self.record if key.startswith(INBOX) else self._inner.get(key)

    def names(self, *_: Any, **__: Any) -> list[str]:
        return []

    keys = names

    def stat(self, key: str) -> Any:
        return None if key.startswith(SOURCES) else self._inner.stat(key)

    def create(self, key: str, body: bytes, **more: Any) -> bool:
        self._inner.put(key, body, **more)
        return True

    def put(self, key: str, body: bytes, **more: Any) -> None:
        if not key.startswith(CHANNELS):
            self._inner.put(key, body, **more)

    def delete(self, keys: list[str]) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
