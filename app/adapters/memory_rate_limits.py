"""Quotas in memory: for tests. One window that never ends."""

from __future__ import annotations

from collections import Counter, defaultdict

from app.domain.ids import SourceId
from app.domain.quota import Kind, Standing


class MemoryRateLimits:
    """Implements ports.RateLimits."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str]] = Counter()
        self._spent: defaultdict[str, set[SourceId]] = defaultdict(set)

    async def take(self, kind: Kind, whose: str, amount: int, *, cost: int = 1) -> Standing:
        counted = self._counted[kind, whose] + cost <= amount
        self._counted[kind, whose] += cost if counted else 0
        return Standing(counted, max(0, amount - self._counted[kind, whose]), 1)

    async def spend(self, token: str, source: SourceId, *, most: int, seconds: int) -> bool:  # noqa: ARG002 - it never ends here
        spent = self._spent[token]
        if source not in spent and len(spent) >= most:
            return False
        spent.add(source)
        return True
