"""Pace: what an owner may ask for in a time, answered before a byte of the body is read. Redis away: nobody is refused (limits fail open)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import ceil

from app.domain.errors import Forbidden, RateLimited, Unavailable
from app.domain.ids import SourceId
from app.domain.quota import SECONDS, Kind, Quotas, Standing
from app.ports import AsyncLedger, Clock, RateLimits
from app.services.principal import Principal

_END_SECONDS = 10
"""Retry-After of who has too many open sources. When one ends nobody knows; most take less."""


class Pace:
    def __init__(
        self,
        limits: RateLimits,
        ledger: AsyncLedger,
        usual: Quotas,
        organisations: Mapping[str, Quotas] | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._clock = clock
        self._usual = usual
        self._organisations = organisations or {}

    async def take(self, principal: Principal, kind: Kind, *, count: int = 1, size_bytes: int = 0) -> dict[str, str]:
        """Count so many more of the kind, and their bytes. Raises RateLimited: then it must not go on.

        The answer is where the caller stands now with the kind, as headers: RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10);
        none where it is not limited, or Redis is away.
        """
        quotas = self._of(principal)
        if kind is Kind.UPLOADS and count:
            await self._room(principal, quotas.open_sources, count)
        amount = quotas.of(kind)
        standing = await self._take(principal, kind, amount, count)
        await self._take(principal, Kind.BYTES, quotas.of(Kind.BYTES), size_bytes)
        if standing is None:
            return {}
        return {
            "RateLimit-Policy": f'"{kind}";q={amount};w={SECONDS[kind]}',
            "RateLimit": f'"{kind}";r={standing.remaining};t={standing.reset_seconds}',
        }

    async def more(self, principal: Principal, kind: Kind, count: int, *, size_bytes: int = 0) -> None:
        """What only the body told: further sources, and bytes that no header had promised. Raises RateLimited."""
        quotas = self._of(principal)
        if count > 0:
            await self._room(principal, quotas.open_sources, 1 + count)
        await self._take(principal, kind, quotas.of(kind), count)
        await self._take(principal, Kind.BYTES, quotas.of(Kind.BYTES), size_bytes)

    async def spend(self, principal: Principal, source: SourceId) -> None:
        """Count the source as brought by the caller's token. Raises Forbidden when that has brought as many as it may."""
        token = principal.token
        if token is None or token.count is None:
            return
        seconds = max(1, ceil((token.expires - self._clock()).total_seconds()))
        with suppress(Unavailable):
            if not await self._limits.spend(token.id, source, most=token.count, seconds=seconds):
                raise Forbidden("token_used_up", f"this upload token may bring {token.count} sources, and has", limit=token.count)

    def _of(self, principal: Principal) -> Quotas:
        return self._organisations.get(principal.organisation, self._usual)

    async def _room(self, principal: Principal, amount: int | None, count: int) -> None:
        """Is there room for so many more open sources? Those of calls that are under way at this moment are not among them."""
        if amount is None:
            return
        with suppress(Unavailable):
            if await self._ledger.backlog(principal.owner) + count > amount:
                raise RateLimited(
                    detail=f"this user may have {amount} sources that have not ended", retry_after_seconds=_END_SECONDS, quota="open-sources", limit=amount
                )

    async def _take(self, principal: Principal, kind: Kind, amount: int | None, cost: int) -> Standing | None:
        if amount is None or cost <= 0:
            return None
        try:
            standing = await self._limits.take(kind, principal.owner, amount, cost=cost)
        except Unavailable:
            return None
        if not standing.counted:
            wait = SECONDS[kind] if cost > amount else standing.reset_seconds
            raise RateLimited(
                detail=f"{amount} {kind} in {SECONDS[kind]} seconds are what this user may have", retry_after_seconds=wait, quota=kind, limit=amount
            )
        return standing
