"""One fetch's limits, kept at httpcore's network seam: nothing of HTTP is below it, so nothing can slip past.

httpx's own timeouts are per read, so a byte now and then holds a worker for ever; and it has no limit on bytes at all.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from app.domain.errors import ProcessingFailed

MINIMUM_RATE = 1024 * 1024
"""Bytes per second. Each so many bytes that have come (not: were promised) move the deadline on by a second."""


_CHECK_SECONDS = 1.0
"""A read that waits is asked so often whether it still is wanted."""


class Limits:
    """Time and wire bytes of one fetch, over all its hops. Begins to count when it is made. What `check` raises ends it."""

    def __init__(self, *, seconds: float, wire_bytes: int, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        self._end = time.monotonic() + seconds
        self._wire_bytes = wire_bytes
        self._received = 0

    def left(self, at_most: float | None = None, *, shares: int = 1) -> float:
        """Seconds to the deadline, parted among so many steps, or `at_most` when that is less. Raises ProcessingFailed (timeout)."""
        left = self._left() / shares
        if left <= 0:
            raise ProcessingFailed("timeout", "the deadline of the fetch passed")
        return left if at_most is None else min(left, at_most)

    @property
    def are_over(self) -> bool:
        """Whether it was the deadline that ended a call which got no longer than `left`. A clock's tick of grace."""
        return self._left() < 0.01

    def count(self, received: int) -> None:
        """Raises ProcessingFailed (too_large) when more came than the wire may carry."""
        self._received += received
        if self._received > self._wire_bytes:
            raise ProcessingFailed("too_large", f"over {self._wire_bytes} bytes came over the wire")

    def _left(self) -> float:
        return self._end + self._received / MINIMUM_RATE - time.monotonic()


class LimitedBackend(httpcore.NetworkBackend):
    """Opens connections through `inner`, whose `steps` (a lookup, and so many addresses in a row) end before the deadline together."""

    def __init__(self, inner: httpcore.NetworkBackend, limits: Limits, *, steps: int) -> None:
        self._inner = inner
        self._limits = limits
        self._steps = steps

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = self._limits.left(timeout, shares=self._steps)
        return LimitedStream(self._inner.connect_tcp(host, port, seconds, local_address, socket_options), self._limits)


class LimitedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        silent_until = time.monotonic() + self._limits.left(timeout)
        while True:
            self._limits.check()
            left = max(0.001, silent_until - time.monotonic())
            try:
                received = self._inner.read(max_bytes, min(left, _CHECK_SECONDS))
            except httpcore.ReadTimeout:
                if left <= _CHECK_SECONDS:
                    raise
            else:
                self._limits.count(len(received))
                return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._limits.left(timeout))

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        try:
            seconds = self._limits.left(timeout)
        except ProcessingFailed:
            self.close()  # the caller closes only what it got back
            raise
        return LimitedStream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._limits)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
