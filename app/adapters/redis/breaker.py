"""One breaker for all calls of a process to Redis: a server that is frozen costs whoever meets it first one timeout, and nobody after that.

    closed     calls go through, each with one deadline for the whole of it
    open       a call had no answer in time: those under way are given up with it, new ones are refused at once
    half open  a PING is tried beside them, again and again; no client waits for it, and its answer closes the breaker

A server that answers with an error (full, loading, read-only) or refuses the connection costs no time, and opens nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.adapters.redis.deadlines import Deadlines
from app.domain.errors import Unavailable
from app.telemetry.metrics import REDIS_OPEN, REDIS_REFUSED, REDIS_TRIPS

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
"""Between two probes: a server that thawed is in use again after this at the latest."""


class Breaker:
    """Of one event loop. `probe` asks the server for the least that it can answer."""

    def __init__(self, probe: Callable[[], Awaitable[object]], *, timeout_seconds: float) -> None:
        self._probe = probe
        self._timeout_seconds = timeout_seconds
        self._under_way: Deadlines[asyncio.Timeout] = Deadlines(timeout_seconds, _end)
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._probing is not None

    async def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answers, within the timeout. Raises Unavailable at once while open, TimeoutError when it opens, and what `ask` raises."""
        if self._probing is not None:
            REDIS_REFUSED.inc()
            raise Unavailable("redis_unavailable", "Redis does not answer; it is asked again in the background")
        deadline = asyncio.Timeout(None)
        try:
            async with deadline:
                self._under_way.add(deadline)
                return await ask()
        except (TimeoutError, RedisTimeoutError):
            self._under_way.drop(deadline)
            self._open()
            raise
        finally:
            self._under_way.drop(deadline)

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing

    def _open(self) -> None:
        if self._probing is not None:
            return
        log.warning("Redis did not answer in %g s; doing without it", self._timeout_seconds)
        REDIS_TRIPS.inc()
        REDIS_OPEN.set(1)
        self._probing = asyncio.create_task(self._until_it_answers())
        for deadline in self._under_way:
            _end(deadline)

    async def _until_it_answers(self) -> None:
        # The first one at once: it may have been this process that stood still, and not Redis.
        pause = _FIRST_PAUSE_SECONDS
        try:
            while not await self._answers():
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            log.warning("Redis answers again")
        finally:
            self._probing = None
            REDIS_OPEN.set(0)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._probe()
        except (RedisError, OSError, RuntimeError):  # away is not frozen, but nothing is lost by waiting for it here
            return False
        return True


def _end(call: asyncio.Timeout) -> None:
    if not call.expired():
        call.reschedule(asyncio.get_running_loop().time())
