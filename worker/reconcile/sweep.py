"""The sweep: what is in the store and belongs to nothing. Owner by owner and page by page; it may be cut short anywhere, and begun again.

    transfers      nobody completed or aborted them
    per owner      holdings.py: dead attempts, orphaned bytes, cut-short deletions, old tombstones, sources past their retention
    markers        channels/ of sources that are gone
    scratch        folders on this machine of workers that were killed

Age protects whatever is being done: an object whose inbox record is just about to be written, an artifact whose commit is under way. What was written
before the last whole sweep was judged by it, so a sweep lists everything and reads what is new.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.domain.ids import OwnerId, SourceId
from app.domain.layout import CHANNELS, OBJECTS, SOURCES, source_prefix
from app.ports import ObjectStore
from app.protocol import inbox
from worker.pipeline import scratch
from worker.pipeline.run import Parts
from worker.reconcile.holdings import Holdings

NOBODY = OwnerId("")
EVER = datetime.min.replace(tzinfo=UTC)
_THREADS = 8
_MARKER = "channels/<ws-uuid>/<owner>/<source>"


@dataclass(frozen=True, slots=True)
class Ages:
    """How old things are when they go."""

    orphans: timedelta
    tombstones: timedelta
    """From then on the id of a deleted source may be used again. Far above the time that an attempt, or a message of it, can live."""
    retention: timedelta | None = None
    """Of a source, from the end of its latest run; None: for ever."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step removed, and the owner from which on all is still to be done."""

    removed: Counter[str]
    after: OwnerId


class Sweep:
    """`now`: when it began. `since`: when the last whole one began, less its age of orphans; what is older was judged."""

    def __init__(self, parts: Parts, ages: Ages, *, now: datetime, since: datetime = EVER) -> None:
        self._parts = parts
        self._ages = ages
        self._now = now
        self._since = since
        self.before = now - ages.orphans

    def run(self) -> Counter[str]:
        """All of it; how much was removed, by kind. Raises Unavailable."""
        return sum((step.removed for step in self.steps()), Counter())

    def steps(self, after: OwnerId = NOBODY) -> Iterator[Step]:
        """In bounded steps, of a page of some kind each; the owners up to `after` were swept already. Raises Unavailable."""
        store = self._parts.store
        yield Step(Counter(transfers=store.drop_abandoned(self.before), scratch=scratch.sweep(self._parts.scratch)), after)
        with ThreadPoolExecutor(_THREADS) as pool:
            for owner in _owners(store, after):
                holdings = Holdings(
                    self._parts, pool, owner, since=self._since, before=self.before, tombstones_before=self._now - self._ages.tombstones,
                    ended_before=self._now - self._ages.retention if self._ages.retention else None,
                )  # fmt: skip
                for removed in holdings.sweep():
                    yield Step(removed, after)
                after = owner
                yield Step(Counter(), after)
            for removed in self._markers(pool):
                yield Step(removed, after)

    def _markers(self, pool: ThreadPoolExecutor) -> Iterator[Counter[str]]:
        """An attempt may write its marker after the source was deleted."""
        store, at = self._parts.store, ""
        while page := store.listing(CHANNELS, after=at):
            at = page[-1].key
            young = [one.key for one in page if self._since <= one.modified < self.before and one.key.count("/") == _MARKER.count("/")]
            orphans = [key for key, is_known in zip(young, pool.map(self._is_known, young), strict=True) if not is_known]
            store.delete(orphans)
            yield Counter(markers=len(orphans))

    def _is_known(self, marker: str) -> bool:
        _, _, owner, source = marker.split("/")
        store, owner_id, source_id = self._parts.store, OwnerId(owner), SourceId(source)
        # The inbox first: what ends between the two looks is then found by the second.
        return inbox.is_open(store, owner_id, source_id) or "runs/" in store.names(source_prefix(owner_id, source_id))


def _owners(store: ObjectStore, after: OwnerId) -> Iterator[OwnerId]:
    """All that have anything, once each, in order."""
    seen = after
    for name in heapq.merge(_names(store, OBJECTS, after), _names(store, SOURCES, after)):
        if name > seen:
            seen = OwnerId(name)
            yield seen


def _names(store: ObjectStore, prefix: str, after: str) -> Iterator[str]:
    at = f"{after}/" if after else ""
    while page := store.names(prefix, after=at):
        yield from (name.removesuffix("/") for name in page)
        at = page[-1]
