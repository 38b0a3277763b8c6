"""Quotas over Redis: a small hash for each owner and quota, and one script for each question. Asked before a body is read, so it must be cheap."""

from __future__ import annotations

from math import ceil
from typing import Any

from app.adapters.redis.breaker import Breaker
from app.adapters.redis.client import unavailable
from app.adapters.redis.commands import Commands
from app.adapters.redis.keys import Keyspace
from app.domain.ids import SourceId
from app.domain.quota import SECONDS, Kind, Standing


class RedisRateLimits:
    """Implements ports.RateLimits."""

    def __init__(self, redis: Commands, keys: Keyspace, breaker: Breaker | None = None) -> None:
        self._redis = redis
        self._keys = keys
        self._breaker = breaker

    async def take(self, kind: Kind, whose: str, amount: int, *, cost: int = 1) -> Standing:
        counted, remaining, reset_ms = await self._run("quota", self._keys.quota(whose, kind), amount, cost, 1000 * SECONDS[kind])
        return Standing(bool(counted), remaining, max(1, ceil(reset_ms / 1000)))

    async def spend(self, token: str, source: SourceId, *, most: int, seconds: int) -> bool:
        return bool(await self._run("spend", self._keys.token(token), source, most, seconds))

    async def _run(self, script: str, key: str, *args: str | int | bytes) -> Any:
        with unavailable():
            if self._breaker is None:
                return await self._redis.run(script, [key], [*args])
            return await self._breaker(lambda: self._redis.run(script, [key], [*args]))
