"""Sources, seen from outside: one, all of an owner's, and away with one.

The store is asked for what has ended, the ledger for what is live; with an empty Redis everything here still answers
(a run at work is then `accepted`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from app.domain.errors import NotFound, Unavailable
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import dead_prefix
from app.domain.results import Moment, RunResult
from app.domain.source import InboxRecord, State
from app.ports import AsyncLedger, LedgerRecord, ObjectStore
from app.protocol import catalogue, erase, inbox
from app.protocol import outcome as outcomes
from app.protocol.announce import Announcer
from app.protocol.outcome import Outcome, outcome, result
from app.services.offload import Offload

PAGE = 100


@dataclass(frozen=True, slots=True)
class View:
    """A source as it stands: its latest run."""

    source: SourceId
    state: State
    record: InboxRecord | None
    """Open: accepted and not yet announced."""
    result: RunResult | None
    """Ended."""
    standing: RunResult | None = None
    """What may be read: the latest run's result, or that of the last one that succeeded while a later one is open or came to nothing."""
    live: LedgerRecord | None = None
    timeline: tuple[Moment, ...] = ()
    queued: int | None = None
    """About how many runs come before this one and with it; None when it does not wait, or Redis does not know."""

    @property
    def run(self) -> int:
        of = self.result or self.record
        return of.run if of else 1

    @property
    def is_dead(self) -> bool:
        """A dead letter: its latest run failed because it was tried too often."""
        return self.result is not None and self.result.spent

    @property
    def is_settled(self) -> bool:
        """The run has ended and its end was said."""
        return self.result is not None and self.record is None


@dataclass(frozen=True, slots=True)
class Sources:
    store: ObjectStore
    ledger: AsyncLedger
    offload: Offload
    announcer: Announcer

    async def show(self, owner: OwnerId, source: SourceId) -> View:
        """Raises NotFound: not there, deleted, or another's."""
        record, past = await self.offload(self._look, owner, source)
        view = _view(source, record, past)
        if view is None:
            raise NotFound(detail="no such source")
        standing = past.result and await self.offload(outcomes.standing, self.store, owner, past.result)
        live, timeline, queued = None, view.result.timeline if view.result else [], None
        with suppress(Unavailable):
            live = await self.ledger.record(owner, source)
            if live is not None and view.result is None:
                timeline, queued = await asyncio.gather(self.ledger.timeline(owner, source, live.run), self.ledger.place(owner, source))
        state = live.state if live is not None and view.result is None and not live.state.is_terminal else view.state
        return replace(view, state=state, standing=standing, live=live if view.result is None else None, timeline=tuple(timeline), queued=queued)

    async def page(self, owner: OwnerId, *, after: str, limit: int, dead: bool = False) -> tuple[list[View], str | None]:
        """Up to `limit` (1 to 100) sources after the id `after`, in a fixed order; and where the next page begins.

        `dead`: dead letters only. A page may then have fewer, or none, and yet another behind it.
        """
        find = self._dead_ids if dead else partial(catalogue.ids, self.store)
        ids = await self.offload(partial(find, owner, after=after, limit=limit + 1))
        looks = await asyncio.gather(*(self.offload(self._look, owner, source) for source in ids[:limit]))
        views = [_view(source, *look) for source, look in zip(ids, looks, strict=False)]
        found = [view for view in views if view is not None and (view.is_dead or not dead)]
        return found, ids[limit - 1] if len(ids) > limit else None

    async def delete(self, owner: OwnerId, source: SourceId) -> None:
        """Away with it, whatever state it is in; an open run ends as `cancelled`. Raises NotFound, Unavailable (try again)."""
        if not await self.offload(self._has_anything, owner, source):
            raise NotFound(detail="no such source")
        record = await self.offload(erase.erase, self.store, owner, source)
        with suppress(Unavailable):  # the reconciler finds the tombstone beside the inbox record, and goes on from here
            if record is not None:
                await self.ledger.finish(owner, record, self.announcer.cancelled(record), state=State.CANCELLED)
            else:
                await self.ledger.forget(owner, source)
            await self.offload(erase.close, self.store, owner, source)

    async def artifact(self, owner: OwnerId, source: SourceId, run: int) -> RunResult:
        """The result that a link of ours names. Raises NotFound when it is gone."""
        found = await self.offload(result, self.store, owner, source, run)
        if found is None:
            raise NotFound(detail="the source was deleted")
        return found

    async def latest(self, owner: OwnerId, source: SourceId) -> RunResult:
        """The result that stands: of the latest run that succeeded, while another is at work or came to nothing; else its end. Raises NotFound."""
        _, past = await self.offload(self._look, owner, source)
        if past.deleted or past.result is None:
            raise NotFound(detail="no such source, or no run of it has ended")
        return await self.offload(outcomes.standing, self.store, owner, past.result) or past.result

    def _look(self, owner: OwnerId, source: SourceId) -> tuple[InboxRecord | None, Outcome]:
        return inbox.read(self.store, owner, source), outcome(self.store, owner, source)

    def _dead_ids(self, owner: OwnerId, *, after: str, limit: int) -> list[SourceId]:
        """Marked before the commit, so one may be of a run that ended otherwise, or was run again since: the results tell."""
        return [SourceId(name) for name in self.store.names(dead_prefix(owner), after=after, limit=limit)]

    def _has_anything(self, owner: OwnerId, source: SourceId) -> bool:
        """A source that was deleted has something left when the deletion was cut short: then it is taken up again."""
        record, past = self._look(owner, source)
        return bool(record or past.result or (past.deleted and erase.remains(self.store, owner, source, record)))


def _view(source: SourceId, record: InboxRecord | None, past: Outcome) -> View | None:
    if past.deleted or (record is None and past.result is None):
        return None
    if record is not None and (past.result is None or past.result.run < record.run):
        return View(source, State.ACCEPTED, record, None)
    return View(source, past.result.state if past.result else State.ACCEPTED, record, past.result)
