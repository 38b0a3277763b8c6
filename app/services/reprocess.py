"""Reprocess: run again what is meant of an owner's sources, by pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.domain.errors import HeadraceError
from app.domain.ids import OwnerId, SourceId
from app.domain.selection import Selection
from app.services.runs import Runs
from app.services.sources import Sources

_AT_ONCE = 8
"""Each asks the store some five times, and uploads want it too."""


@dataclass(frozen=True, slots=True)
class Reprocess:
    sources: Sources
    runs: Runs

    async def __call__(
        self, owner: OwnerId, selection: Selection, *, after: str, limit: int, base_url: str, room: Callable[[int], Awaitable[None]]
    ) -> tuple[list[tuple[SourceId, HeadraceError | None]], str | None]:
        """Look at `limit` (1 to 100) sources after the id `after`. Of those that are meant, what refused each, or None; and where to go on.

        `room` is asked for so many runs before the first begins; what it raises is raised, and nothing has begun. A call that is repeated begins
        nothing twice, as long as the runs that it began are open.
        """
        views, following = await self.sources.page(owner, after=after, limit=limit)
        meant = [view.result for view in views if view.result is not None and selection.has(view.result)]
        await room(len(meant))
        turns = asyncio.Semaphore(_AT_ONCE)

        async def begin(source: SourceId, run: int) -> HeadraceError | None:
            async with turns:
                try:
                    await self.runs.retry(owner, source, run=run, base_url=base_url, also_succeeded=True)
                except HeadraceError as error:
                    return error
            return None

        answers = await asyncio.gather(*(begin(result.source_uuid, result.run) for result in meant))
        return [(result.source_uuid, answer) for result, answer in zip(meant, answers, strict=True)], following
