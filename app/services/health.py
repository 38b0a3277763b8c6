"""Health: which of the parts that we need is away just now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from app.domain.errors import Unavailable
from app.domain.layout import DEPLOYMENT
from app.ports import AsyncLedger, ObjectStore
from app.services.offload import Offload

_LONGEST_SECONDS = 2.0
"""A look that takes longer finds the part away. It goes on, and no second one is begun beside it: anybody may ask."""

Part = Literal["redis", "storage"]


@dataclass(frozen=True, slots=True)
class Away:
    part: Part
    code: str
    detail: str


class Health:
    """Of one process."""

    def __init__(self, ledger: AsyncLedger, store: ObjectStore, offload: Offload) -> None:
        self._ledger = ledger
        self._store = store
        self._offload = offload
        self._looks: dict[Part, Callable[[], Awaitable[object]]] = {"redis": self._look_at_redis, "storage": self._look_at_storage}
        self._looking: dict[Part, asyncio.Task[Away | None]] = {}

    async def away(self) -> list[Away]:
        """What is away, with the reason; empty when all is well. Answers within 2 s. Who asks at the same time shares one look."""
        found = await asyncio.gather(*(self._result(part) for part in self._looks))
        return [each for each in found if each is not None]

    async def _result(self, part: Part) -> Away | None:
        looking = self._looking.get(part)
        if looking is None:
            looking = self._looking[part] = asyncio.create_task(self._look(part))
            looking.add_done_callback(lambda _: self._looking.pop(part))
        await asyncio.wait({looking}, timeout=_LONGEST_SECONDS)
        return looking.result() if looking.done() else Away(part, f"{part}_unavailable", f"no answer in {_LONGEST_SECONDS:g} s")

    async def _look(self, part: Part) -> Away | None:
        try:
            await self._looks[part]()
        except Unavailable as error:
            return Away(part, error.code, error.detail)
        return None

    async def _look_at_redis(self) -> None:
        await self._ledger.ping()

    async def _look_at_storage(self) -> None:
        await self._offload(self._store.stat, DEPLOYMENT)

    async def close(self) -> None:
        looking = list(self._looking.values())
        for each in looking:
            each.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
