"""The sweep of each day, a step at a time, and where it has come to: in the store, so that it goes on where it was under whoever leads next."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId
from app.domain.layout import SWEEP
from app.domain.wire import Stored
from app.ports import Clock, ObjectStore
from app.telemetry.metrics import SWEEP_FINISHED, SWEPT
from worker.pipeline.run import Parts
from worker.reconcile.sweep import EVER, NOBODY, Ages, Step, Sweep

log = logging.getLogger("reconciler")

_STEP_SECONDS = 0.25
"""Of each second; the rest is for what is open."""
_LOOK_SECONDS = 60.0
"""How often we look into the store whether a sweep is due, and write there how far one has come."""


class Bookmark(Stored):
    """sweep.json."""

    began: AwareDatetime
    since: AwareDatetime = EVER
    """What was written before was judged by the sweep before."""
    after: OwnerId = NOBODY
    """The last owner of whom all is done."""
    finished: AwareDatetime | None = None


class Daily:
    """`every`: from the beginning of one whole sweep to the next."""

    def __init__(
        self, parts: Parts, ages: Ages, *, every: timedelta, clock: Clock = lambda: datetime.now(UTC), ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._ages = ages
        self._every = every
        self._clock = clock
        self._ticks = ticks
        self._bookmark: Bookmark | None = None
        self._steps: Iterator[Step] | None = None
        self._look_at = self._keep_at = float("-inf")
        self._removed: Counter[str] = Counter()

    def step(self) -> Counter[str]:
        """Some steps when a sweep is due or under way; what they removed. Raises Unavailable: then the sweep goes on from about there."""
        removed: Counter[str] = Counter()
        until = self._ticks() + _STEP_SECONDS
        if self._steps is None:
            self._begin()
        while self._steps is not None:
            try:
                step = next(self._steps, None)
            except BaseException:
                self._steps = None
                raise
            if step is None:
                self._end()
            else:
                self._note(step)
                removed += step.removed
            if self._ticks() >= until:
                break
        return removed

    def _note(self, step: Step) -> None:
        for what, count in step.removed.items():
            SWEPT.labels(what).inc(count)
        self._removed += step.removed
        if self._bookmark is not None and step.after != self._bookmark.after and self._ticks() >= self._keep_at:
            self._keep(self._bookmark.model_copy(update={"after": step.after}))

    def _begin(self) -> None:
        if self._ticks() < self._look_at:
            return
        self._look_at = self._ticks() + _LOOK_SECONDS
        now, last = self._clock(), read(self._parts.store)
        if last is not None and last.finished is None:
            bookmark = last
        elif last is None or last.began + self._every <= now:
            bookmark = Bookmark(began=now, since=last.began - self._ages.orphans if last else EVER)
            self._keep(bookmark)
        else:
            return
        self._bookmark, self._removed = bookmark, Counter()
        self._steps = Sweep(self._parts, self._ages, now=bookmark.began, since=bookmark.since).steps(bookmark.after)

    def _end(self) -> None:
        self._steps = None
        if self._bookmark is not None:
            self._keep(self._bookmark.model_copy(update={"finished": self._clock()}))
        SWEEP_FINISHED.set_to_current_time()
        log.info("swept; removed: %s", ", ".join(f"{count} {what}" for what, count in sorted((+self._removed).items())) or "nothing")

    def _keep(self, bookmark: Bookmark) -> None:
        self._bookmark, self._keep_at = bookmark, self._ticks() + _LOOK_SECONDS
        self._parts.store.put(SWEEP, bookmark.to_json(), media_type="application/json")


def read(store: ObjectStore) -> Bookmark | None:
    """Where the sweep is; None when there was none, or nobody here can read it: then it begins anew."""
    try:
        return Bookmark.model_validate_json(store.get(SWEEP))
    except (ObjectNotFound, ValueError):
        return None
