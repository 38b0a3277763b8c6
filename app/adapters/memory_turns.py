"""Who has a turn in a lane, and who waits for one: the double of lua/_turns.lua."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from app.domain.ids import OwnerId, SourceId
from app.domain.jobs import Lane

_Lane = tuple[OwnerId, Lane]
Tables = tuple[dict[_Lane, set[SourceId]], dict[_Lane, list[SourceId]]]


class MemoryTurns:
    """`hand_out` sends the message of a run whose turn has come; False when it is not waiting any more."""

    def __init__(self, cap: int, hand_out: Callable[[OwnerId, Lane, SourceId], bool]) -> None:
        self._cap = cap
        self._hand_out = hand_out
        self._taken: dict[_Lane, set[SourceId]] = defaultdict(set)
        self._waiting: dict[_Lane, list[SourceId]] = defaultdict(list)

    @property
    def tables(self) -> Tables:
        """Who has a turn and who waits, as a server would write it down."""
        return self._taken, self._waiting

    @tables.setter
    def tables(self, tables: Tables) -> None:
        self._taken, self._waiting = tables

    def wait(self, owner: OwnerId, lane: Lane, source: SourceId) -> None:
        if source not in self._waiting[owner, lane]:
            self._waiting[owner, lane].append(source)

    def take(self, owner: OwnerId, lane: Lane, source: SourceId, *, force: bool = False) -> bool:
        """True: it has its turn from now on, if it had none before."""
        taken = self._taken[owner, lane]
        if source in taken:
            return True
        if len(taken) >= self._cap and not force:
            return False
        taken.add(source)
        self._unwait(owner, lane, source)
        return True

    def backlog(self, owner: OwnerId) -> int:
        return sum(len(table.get((owner, lane), ())) for table in (self._taken, self._waiting) for lane in Lane)

    def give(self, owner: OwnerId, lane: Lane, source: SourceId) -> None:
        self._taken[owner, lane].discard(source)

    def end(self, owner: OwnerId, lane: Lane, source: SourceId) -> None:
        self.give(owner, lane, source)
        self._unwait(owner, lane, source)
        self.wake(owner, lane)

    def wake(self, owner: OwnerId, lane: Lane) -> int:
        """Give the turns that are left to those who waited longest; how many."""
        waiting, taken, woken = self._waiting[owner, lane], self._taken[owner, lane], 0
        while waiting and len(taken) < self._cap:
            source = waiting.pop(0)
            if self._hand_out(owner, lane, source):
                taken.add(source)
                woken += 1
        return woken

    def rank(self, owner: OwnerId, lane: Lane, source: SourceId) -> int | None:
        waiting = self._waiting[owner, lane]
        return waiting.index(source) if source in waiting else None

    def taken(self, owner: OwnerId, lane: Lane) -> set[SourceId]:
        return set(self._taken[owner, lane])

    def queueing(self) -> list[tuple[OwnerId, Lane]]:
        return sorted(key for key, waiting in self._waiting.items() if waiting)

    def _unwait(self, owner: OwnerId, lane: Lane, source: SourceId) -> None:
        if source in self._waiting[owner, lane]:
            self._waiting[owner, lane].remove(source)
