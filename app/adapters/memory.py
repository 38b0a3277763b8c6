"""Objects in this process's memory: the double that tests use, held to the same suite as the stores that last."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.create_only import prove
from app.adapters.object_key import checked_key, checked_limit, checked_prefix, checked_type
from app.adapters.parts import Parts
from app.domain.errors import ObjectNotFound, Unavailable
from app.ports import Listed, ObjectStat


class MemoryObjectStore:
    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, ObjectStat]] = {}
        self._lock = threading.Lock()
        self._under_way: set[_MemoryTransfer] = set()

    def put(self, key: str, body: bytes | bytearray | memoryview, *, media_type: str = "application/octet-stream") -> None:
        checked_key(key)
        made = _object(body, media_type)
        with self._lock:
            self._objects[key] = made

    def create(self, key: str, body: bytes, *, media_type: str = "application/json") -> bool:
        checked_key(key)
        made = _object(body, media_type)
        with self._lock:
            return self._objects.setdefault(key, made) is made

    def start(self, key: str, *, part_bytes: int, media_type: str = "application/octet-stream") -> _MemoryTransfer:
        transfer = _MemoryTransfer(self, checked_key(key), part_bytes, checked_type(media_type))
        self._under_way.add(transfer)
        return transfer

    def get(self, key: str) -> bytes:
        try:
            return self._objects[checked_key(key)][0]
        except KeyError:
            raise ObjectNotFound(detail=key) from None

    def stat(self, key: str) -> ObjectStat | None:
        found = self._objects.get(checked_key(key))
        return found[1] if found else None

    def read(self, key: str, *, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        body = self.get(key)[start:stop]
        return (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))

    def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        below = (key.removeprefix(prefix) for key in self._below(prefix))
        names = {name.partition("/")[0] + ("/" if "/" in name else "") for name in below}
        return sorted(name for name in names if name > after)[: checked_limit(limit)]

    def keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return sorted(key for key in self._below(prefix) if key > after)[: checked_limit(limit)]

    def listing(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Listed]:
        found = ((key, self._objects.get(key)) for key in self.keys(prefix, after=after, limit=limit))
        return [Listed(key, there[1].modified) for key, there in found if there]

    def drop_abandoned(self, before: datetime) -> int:
        abandoned = [transfer for transfer in self._under_way if transfer.touched < before]
        for transfer in abandoned:
            transfer.abort()
        return len(abandoned)

    def ended(self, transfer: _MemoryTransfer) -> None:
        self._under_way.discard(transfer)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._objects.pop(checked_key(key), None)

    def link(self, key: str, *, filename: str, media_type: str, seconds: int) -> str | None:  # noqa: ARG002  there is no URL to memory
        return None

    def path(self, key: str) -> Path | None:
        self.get(key)
        return None

    def probe(self) -> None:
        prove(self)

    def close(self) -> None:
        self._objects.clear()

    def _below(self, prefix: str) -> list[str]:
        checked_prefix(prefix)
        with self._lock:
            return [key for key in self._objects if key.startswith(prefix)]


class _MemoryTransfer:
    def __init__(self, store: MemoryObjectStore, key: str, part_bytes: int, media_type: str) -> None:
        self._store, self._key, self._media_type = store, key, media_type
        self._parts: Parts[bytes] | None = Parts(part_bytes)
        self.touched = datetime.now(UTC)
        self._done = False

    def put_part(self, number: int, body: bytes | bytearray | memoryview) -> None:
        parts = self._open()
        parts.check(number, len(body))
        parts.add(number, len(body), bytes(body))
        self.touched = datetime.now(UTC)

    def complete(self) -> None:
        if not self._done:
            self._store.put(self._key, b"".join(self._open().in_order()), media_type=self._media_type)
            self._done = True
            self._store.ended(self)

    def abort(self) -> None:
        self._parts = None
        self._store.ended(self)

    def _open(self) -> Parts[bytes]:
        if self._parts is None:
            raise Unavailable("storage_failed", "the transfer was aborted")
        return self._parts


def _object(body: bytes | bytearray | memoryview, media_type: str) -> tuple[bytes, ObjectStat]:
    return bytes(body), ObjectStat(size=len(body), media_type=checked_type(media_type), modified=datetime.now(UTC))
