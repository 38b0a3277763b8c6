"""The verdict: whether what a client heard is its channel's history, from where it began."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

WRONG = ("missing", "repeated", "progress back", "second ends", "after an end", "differing", "ends unknown", "never closed")
"""Each of these must be 0."""


class Book:
    """What all clients together heard: a position means the same message to each of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(("milestones heard", "progress heard", "sessions", "told of a loss", *WRONG), 0))
        self.remarks: list[str] = []
        """For whoever looks for the cause: what was missing, and what was heard around it."""
        self._said: dict[str, int] = {}
        self._sources: defaultdict[int, dict[str, str]] = defaultdict(dict)
        """By offset and epoch."""

    def enter(self, event: dict[str, Any]) -> None:
        what = hash(repr(sorted((name, repr(value)) for name, value in event.items())))
        self.counts["differing"] += self._said.setdefault(event["event-id"], what) != what
        epoch, _, offset = event["event-id"].partition(":")
        self._sources[int(offset)][epoch] = event.get("source-uuid", "")

    def may_be_of(self, sources: set[str], first: str, last: str, offset: int, lasting: str) -> bool:
        """Whether one of these sources may have stood there, in the epochs from the first to the last (their names are moments).

        The channel's `lasting` one decides where it is among them. Else what stood there was lost later; where nobody heard that, it may have been of any source.
        """
        known = self._sources[offset]
        found = {known[lasting]} if first <= lasting <= last else {source for epoch, source in known.items() if first <= epoch <= last}
        return bool(found & sources if found else sources)

    @property
    def is_clean(self) -> bool:
        return not any(self.counts[name] for name in WRONG)


def is_end(event: dict[str, Any]) -> bool:
    return event.get("status") in {"success", "failure"}


def _short(event: dict[str, Any]) -> str:
    return f"  {event['event']} {event.get('event-id', '')} {event.get('source-uuid', '')[:8]} {event.get('state', '')}"


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
        """Sources whose end this connection brought, or began behind: it brings nothing more of them, though Redis may have lost that end, and have another."""
        self._at: dict[str, Any] = {}
        """The last milestone."""
        self._is_first = True
        """This connection brought nothing yet."""
        self._gaps: list[tuple[set[str], str, str, int, int]] = []
        self._repeats: list[tuple[str, int]] = []
        self._log: list[str] = []

    def begin(self, *, anew: bool) -> None:
        """A session, from the beginning of the channel or after the position."""
        self._book.counts["sessions"] += 1
        self._log.append(f"begins anew={anew} after={self.position}")
        self._told = {self._at["source-uuid"]} if not anew and is_end(self._at) else set()
        self._is_first = True
        if anew:
            self.position, self._offset = None, 0
            self._over.clear()
        if anew or self._lost_tails:  # progress has no position: that it was told is nowhere, once Redis has lost it
            self._heights.clear()

    def hear(self, event: dict[str, Any]) -> None:
        if event["event"] != "source.progress":
            self._log.append(_short(event))
        if event["event"] == "channel.recovered":
            self._book.counts["told of a loss"] += 1
            if self._is_first:  # so the position that it began behind means nothing
                self._told.clear()
            self.position, self._at = event.get("event-id"), {}
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
        self._is_first = False

    def _milestone(self, event: dict[str, Any]) -> None:
        counts = self._book.counts
        counts["milestones heard"] += 1
        epoch, offset = event["event-id"].partition(":")[0], int(event["event-id"].partition(":")[2])
        self._gap(offset, epoch)
        if offset <= self._offset:
            counts["repeated"] += 1
            self._repeats.append((event["event-id"], len(self._log)))
        self.position, self._offset, self._at = event["event-id"], offset, event
        self._book.enter(event)
        counts["after an end"] += event.get("source-uuid") in self._told
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
        self._gaps += [(set(self._told), before, epoch, between, len(self._log)) for between in range(self._offset + 1, offset)]

    def close(self, history: list[dict[str, Any]], sources: set[str]) -> None:
        """It heard all that it will ever hear. `history`: what the channel has in the end, from its first offset on, which the book knows."""
        for position, at in self._repeats:
            self._book.remarks.append("\n".join([f"repeated {position}; heard", *self._log[max(0, at - 30) : at + 5]]))
        epoch = history[-1]["event-id"].partition(":")[0]
        self._gap(len(history) + 1, epoch)
        for told, first, last, offset, at in self._gaps:
            lasting = history[offset - 1]["event-id"].partition(":")[0] if offset <= len(history) else ""
            if not self._book.may_be_of(told, first, last, offset, lasting):
                self._book.counts["missing"] += 1
                kept = [_short(event) for event in history[max(0, offset - 4) : offset + 3]]
                heard = self._log[max(0, at - 30) : at + 5]
                self._book.remarks.append("\n".join([f"missing {offset}, of {first} to {last}; the channel has", *kept, "heard", *heard]))
        self._book.counts["ends unknown"] += len(sources - self.ended)
