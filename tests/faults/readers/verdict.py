"""The verdict: whether what a client heard is its channel's history, from where it began."""

from __future__ import annotations

from collections import Counter
from typing import Any

WRONG = ("missing", "repeated", "progress back", "second ends", "differing", "ends unknown", "never closed")
"""Each of these must be 0."""


class Book:
    """What all clients together heard: a position means the same message to each of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(("milestones heard", "progress heard", "sessions", "told of a loss", *WRONG), 0))
        self._said: dict[str, int] = {}
        self._ends: dict[str, str] = {}

    def enter(self, event: dict[str, Any]) -> None:
        what = hash(repr(sorted((name, repr(value)) for name, value in event.items())))
        self.counts["differing"] += self._said.setdefault(event["event-id"], what) != what
        if is_end(event):
            self._ends[event["event-id"]] = event["source-uuid"]

    def is_end_of(self, sources: set[str], epochs: set[str], offset: int) -> bool:
        return any(self._ends.get(f"{epoch}:{offset}") in sources for epoch in epochs)

    @property
    def is_clean(self) -> bool:
        return not any(self.counts[name] for name in WRONG)


def is_end(event: dict[str, Any]) -> bool:
    return event.get("status") in {"success", "failure"}


class Story:
    """One client's, over all of its sessions."""

    def __init__(self, book: Book, *, lost_tails: bool) -> None:
        self._book = book
        self._lost_tails = lost_tails
        self.position: str | None = None
        """The last event-id."""
        self.ended: set[str] = set()
        """Sources whose end it knows, told or shown."""
        self._offset = 0
        self._heights: dict[str, int] = {}
        self._over: set[str] = set()
        self._told: set[str] = set()
        """Sources whose end this connection brought: it brings no second one, though Redis may have lost the first and have another."""
        self._gaps: list[tuple[set[str], set[str], int]] = []

    def begin(self, *, anew: bool) -> None:
        """A session, from the beginning of the channel or after the position."""
        self._book.counts["sessions"] += 1
        self._told = set()
        if anew:
            self.position, self._offset = None, 0
            self._over.clear()
        if anew or self._lost_tails:  # progress has no position: that it was told is nowhere, once Redis has lost it
            self._heights.clear()

    def hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "channel.recovered":
            self._book.counts["told of a loss"] += 1
            self.position = event.get("event-id")
            self._offset = int(self.position.partition(":")[2]) if self.position else 0
            self._heights.clear()
            self._over.clear()
        elif event["event"] == "source.snapshot":
            if event["state"] in {"succeeded", "failed", "cancelled"}:
                self.ended.add(event["source-uuid"])
        elif "event-id" in event:
            self._milestone(event)
        else:
            self._book.counts["progress heard"] += 1
            self._progress(event)

    def _milestone(self, event: dict[str, Any]) -> None:
        counts = self._book.counts
        counts["milestones heard"] += 1
        epoch, offset = event["event-id"].partition(":")[0], int(event["event-id"].partition(":")[2])
        self._gap(offset, epoch)
        counts["repeated"] += offset <= self._offset
        self.position, self._offset = event["event-id"], offset
        self._book.enter(event)
        if is_end(event):
            self._told.add(event["source-uuid"])
            counts["second ends"] += event["source-uuid"] in self._over
            self._over.add(event["source-uuid"])
            self.ended.add(event["source-uuid"])
        elif "progress" in event:
            self._progress(event)

    def _progress(self, event: dict[str, Any]) -> None:
        source, percent = event["source-uuid"], event["progress"]
        self._book.counts["progress back"] += percent < self._heights.get(source, 0)
        self._heights[source] = max(percent, self._heights.get(source, 0))

    def strand(self) -> None:
        """Nobody told it that the channel was over."""
        self._book.counts["never closed"] += 1

    def _gap(self, offset: int, epoch: str) -> None:
        before = self.position.partition(":")[0] if self.position else epoch
        self._gaps += [(set(self._told), {before, epoch}, between) for between in range(self._offset + 1, offset)]

    def close(self, history: list[dict[str, Any]], sources: set[str]) -> None:
        """It heard all that it will ever hear. `history`: what the channel has in the end, from its first offset on, which the book knows."""
        epoch = history[-1]["event-id"].partition(":")[0]
        self._gap(len(history) + 1, epoch)
        for told, epochs, offset in self._gaps:
            lasting = history[offset - 1]["event-id"].partition(":")[0] if offset <= len(history) else ""
            self._book.counts["missing"] += not self._book.is_end_of(told, {lasting} if lasting in epochs else epochs, offset)
        self._book.counts["ends unknown"] += len(sources - self.ended)
