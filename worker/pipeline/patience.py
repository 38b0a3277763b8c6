"""Waiting for what is away: a call is made again, with growing pauses, before its run is given back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from app.domain.errors import Unavailable
from app.ports import Listed, ObjectStat, ObjectStore, Transfer

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_JITTER_SECONDS = 1.0
"""So that not all workers of a fleet come back in the same moment."""


class Patience:
    """Calls what may be away; once more at least, and for `seconds`. Then Unavailable goes through, and so does all else at once.

    `pause` sleeps, and may end the waiting by an error of its own. `tell` is called when the second try has failed too.
    """

    def __init__(self, seconds: float, pause: Callable[[float], None], *, longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS) -> None:
        self.tell: Callable[[], None] = lambda: None
        self.has_waited = False
        """Something was away: then it is no wonder that the run took long."""
        self._seconds = seconds
        self._pause = pause
        self._longest_pause_seconds = longest_pause_seconds

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        began = time.monotonic()
        try:
            return call(*args, **kwargs)
        except Unavailable as error:
            return self._again(began, error, partial(call, *args, **kwargs))

    def _again(self, began: float, failed: Unavailable, call: Callable[[], T]) -> T:
        """After the first try. A call that does not fail is spared this: it would cost as much as itself."""
        retrying = Retrying(
            sleep=self._pause,
            stop=lambda state: state.attempt_number > 1 and time.monotonic() - began >= self._seconds,
            wait=wait_exponential_jitter(multiplier=_FIRST_PAUSE_SECONDS, max=self._longest_pause_seconds, jitter=_JITTER_SECONDS),
            retry=retry_if_exception_type(Unavailable),
            before_sleep=self._note,
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failed
                return call()
        raise failed  # never: the last attempt raises by itself

    def _note(self, state: RetryCallState) -> None:
        self.has_waited = True
        error = state.outcome.exception() if state.outcome else None
        log.warning("trying again: %s", error)
        if state.attempt_number == 2:
            self.tell()


class PatientStore:
    """An ObjectStore over `inner` that waits for it. All calls of the port may be repeated; a read goes on where it broke off."""

    def __init__(self, inner: ObjectStore, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience

    def put(self, key: str, body: bytes | bytearray | memoryview, *, media_type: str = "application/octet-stream") -> None:
        self._patience(self._inner.put, key, body, media_type=media_type)

    def create(self, key: str, body: bytes, *, media_type: str = "application/json") -> bool:
        return self._patience(self._inner.create, key, body, media_type=media_type)

    def start(self, key: str, *, part_bytes: int, media_type: str = "application/octet-stream") -> Transfer:
        return _PatientTransfer(self._patience(self._inner.start, key, part_bytes=part_bytes, media_type=media_type), self._patience)

    def get(self, key: str) -> bytes:
        return self._patience(self._inner.get, key)

    def stat(self, key: str) -> ObjectStat | None:
        return self._patience(self._inner.stat, key)

    def read(self, key: str, *, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        return self._chunks(self._patience(self._inner.read, key, start=start, stop=stop, chunk_bytes=chunk_bytes), key, start, stop, chunk_bytes)

    def _chunks(self, chunks: Iterator[bytes], key: str, at: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
        is_broken = False

        def following() -> bytes:
            nonlocal chunks, is_broken
            if is_broken:
                chunks, is_broken = self._inner.read(key, start=at, stop=stop, chunk_bytes=chunk_bytes), False
            try:
                return next(chunks, b"")
            except Unavailable:
                is_broken = True
                raise

        while chunk := self._patience(following):
            at += len(chunk)
            yield chunk

    def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return self._patience(self._inner.names, prefix, after=after, limit=limit)

    def keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return self._patience(self._inner.keys, prefix, after=after, limit=limit)

    def listing(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Listed]:
        return self._patience(self._inner.listing, prefix, after=after, limit=limit)

    def drop_abandoned(self, before: datetime) -> int:
        return self._patience(self._inner.drop_abandoned, before)

    def delete(self, keys: Sequence[str]) -> None:
        self._patience(self._inner.delete, keys)

    def link(self, key: str, *, filename: str, media_type: str, seconds: int) -> str | None:
        return self._inner.link(key, filename=filename, media_type=media_type, seconds=seconds)

    def path(self, key: str) -> Path | None:
        return self._patience(self._inner.path, key)

    def probe(self) -> None:
        self._inner.probe()

    def close(self) -> None:
        self._inner.close()


class _PatientTransfer:
    def __init__(self, inner: Transfer, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience
        self._is_aborted = False

    def put_part(self, number: int, body: bytes | bytearray | memoryview) -> None:
        self._while_open(self._inner.put_part, number, body)

    def complete(self) -> None:
        self._while_open(self._inner.complete)

    def abort(self) -> None:
        self._is_aborted = True
        self._inner.abort()

    def _while_open(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """What was aborted refuses for good, and not because the store is away."""
        if self._is_aborted:
            call(*args, **kwargs)
        else:
            self._patience(call, *args, **kwargs)
