"""Fetch: the bytes as a file of this machine. For a URL this is where they are fetched, guarded, and put into the store."""

from __future__ import annotations

from typing import BinaryIO

from app.domain import filename
from app.domain.errors import ObjectNotFound, ProcessingFailed
from app.domain.ids import new_upload
from app.domain.layout import object_key
from app.domain.policy import PART_BYTES, part_bytes
from app.domain.results import Artifact
from app.domain.stages import Stage
from app.ports import Fetched, ObjectStore, Transfer
from worker.pipeline.context import StageContext


class Fetch:
    stage = Stage.FETCH

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: too_large, and what a Fetcher raises."""
        if context.record.url is not None and not context.record.stored:
            context.milestone("Fetching the URL", Stage.FETCH)
            most = min(context.max_bytes, context.record.max_bytes or context.max_bytes)
            with context.fetcher.fetch(context.record.url, max_bytes=most, check=context.check) as fetched:
                _import(context, fetched)
        else:
            _download(context)
        found = context.found
        found.artifacts["original"] = Artifact(key=found.object_key, size=found.size, media_type="application/octet-stream", filename=found.filename)


def _download(context: StageContext) -> None:
    found = context.found
    try:
        found.path = context.store.path(found.object_key)
        if found.path is not None:
            found.size = found.path.stat().st_size
            return
        found.path = context.scratch / "original"
        if context.record.body is not None:  # its object has the same, and need not be asked
            found.path.write_bytes(context.record.body)
            found.size = len(context.record.body)
            return
        # What the API held in memory we can hold too; a single request costs a store far less than a stream.
        is_small = found.size <= PART_BYTES
        with found.path.open("wb") as file:
            done = 0
            for chunk in [context.store.get(found.object_key)] if is_small else context.store.read(found.object_key):
                file.write(chunk)
                done += len(chunk)
                context.progress(Stage.FETCH, "Reading from storage", done, found.size, "bytes")
        found.size = done
    except ObjectNotFound as error:
        # The record is written after the object and the object goes after the tombstone: somebody removed it by hand.
        raise ProcessingFailed("storage_failed", f"{found.object_key} is not in the store") from error


def _import(context: StageContext, fetched: Fetched) -> None:
    found = context.found
    # Another attempt may still be writing, so each has an object of its own; the commit names the one that counts.
    found.object_key = object_key(context.owner, new_upload())
    found.path = context.scratch / "original"
    if found.filename == filename.UNNAMED:
        found.filename = filename.clean(fetched.filename)
    with found.path.open("wb") as file:
        found.size = _Import(context.store, found.object_key, part_bytes(fetched.size)).copy(context, fetched, file)


class _Import:
    """Copies a fetched body into a file and, part by part, into the store."""

    def __init__(self, store: ObjectStore, key: str, part: int = PART_BYTES) -> None:
        self._store = store
        self._key = key
        self._part = part
        self._buffer = bytearray()
        self._transfer: Transfer | None = None
        self._sent = 0

    def copy(self, context: StageContext, fetched: Fetched, file: BinaryIO) -> int:
        size = 0
        try:
            for chunk in fetched.chunks:
                context.check()
                file.write(chunk)
                size += len(chunk)
                self._buffer += chunk
                while len(self._buffer) > self._part:
                    self._send(self._part)
                if fetched.size:
                    context.progress(Stage.FETCH, "Fetching the URL", size, fetched.size, "bytes")
            self._end()
        except BaseException:
            if self._transfer is not None:
                self._transfer.abort()
            raise
        return size

    def _send(self, size: int) -> None:
        if self._transfer is None:
            self._transfer = self._store.start(self._key, part_bytes=self._part)
        self._sent += 1
        self._transfer.put_part(self._sent, self._buffer[:size])
        del self._buffer[:size]

    def _end(self) -> None:
        if self._transfer is None:
            self._store.put(self._key, self._buffer)
            return
        if self._buffer:
            self._send(len(self._buffer))
        self._transfer.complete()
