"""Quotas over Redis: sliding window counters of the library `limits`, two small counters for each owner and quota."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from math import ceil
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis as AsyncRedis

from app.adapters.redis.breaker import Breaker
from app.adapters.redis.client import unavailable
from app.adapters.redis.keys import Keyspace
from app.domain.ids import SourceId
from app.domain.quota import SECONDS, Kind, Standing


class RedisRateLimits:
    """Implements ports.RateLimits, over the connections of `redis`."""

    def __init__(self, redis: AsyncRedis, keys: Keyspace, breaker: Breaker | None = None) -> None:
        # The address is not used where there are connections already, but it says which kind of server it is.
        options: Any = {"connection_pool": redis.connection_pool}
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=keys.quotas, **options)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._breaker = breaker
        self._redis: Any = redis
        self._keys = keys

    async def take(self, kind: Kind, whose: str, amount: int, *, cost: int = 1) -> bool:
        return bool(await self._ask(lambda: self._limiter.hit(_item(kind, amount), kind, whose, cost=cost)))

    async def standing(self, kind: Kind, whose: str, amount: int) -> Standing:
        stats = await self._ask(lambda: self._limiter.get_window_stats(_item(kind, amount), kind, whose))
        return Standing(max(0, stats.remaining), max(1, ceil(stats.reset_time - time.time())))

    async def spend(self, token: str, source: SourceId, *, most: int, seconds: int) -> bool:
        key = self._keys.token(token)

        async def add() -> bool:
            async with self._redis.pipeline(transaction=True) as both:
                both.sadd(key, source)
                both.scard(key)
                both.expire(key, seconds)
                new, spent, _ = await both.execute()
            if spent <= most or not new:
                return True
            await self._redis.srem(key, source)  # who comes in between finds one too many, and there was no room for it either
            return False

        return bool(await self._ask(add))

    async def _ask(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        with unavailable():
            return await (ask() if self._breaker is None else self._breaker(ask))


def _item(kind: Kind, amount: int) -> RateLimitItem:
    return RateLimitItemPerSecond(amount, SECONDS[kind])
