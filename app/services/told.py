"""What a reader was told of its sources, as far as that matters for what comes. A reader that was told little has none of it."""

from __future__ import annotations

from app.domain.channel import ChannelState
from app.services.message import Message
from app.services.snapshots import Snapshot

_REMEMBERED = 1000
"""Ends; as many as the milestones that a channel keeps. A run's second end can come only while its first is about as young."""


class Told:
    __slots__ = ("_ends", "_heights", "_shown", "an_end", "looked", "looks", "lost", "pause")

    def __init__(self) -> None:
        self.an_end = False
        """Said, or shown by a snapshot: so the reader may be closed."""
        self.looks = False
        """Look for ends that nobody will say."""
        self.looked = False
        self.lost = False
        """History was lost, or there may have been one that nobody knows of: any end may be lacking. Else only what Redis lost of the channel's life."""
        self.pause = 0.0
        """Seconds from one look whether it is over to the next."""
        self._ends: dict[tuple[str, int], None] = {}
        self._shown: set[tuple[str, int]] = set()
        self._heights: dict[str, tuple[int, int]] = {}
        """Run and percent of each source that is at work."""

    def __contains__(self, run: tuple[str, int]) -> bool:
        """Whether it ended, as far as the reader knows."""
        return run in self._ends or run in self._shown

    def admits(self, message: Message) -> bool:
        """Whether to tell it, which is noted. Nothing of a run whose end was told: a Redis that lost that end brings the run back, and a second end of it.

        And no progress that would go back.
        """
        if "run" not in message.event:
            self.an_end |= message.event["event"] == "batch"  # it stands behind an end
            return True
        source, run = message.run
        if message.is_end:
            return self._end((source, run))
        height = (run, message.event.get("progress", 0))
        if (source, run) in self._ends:
            return False
        if not message.offset and ((source, run) in self._shown or height < self._heights.get(source, height)):
            return False
        self._heights[source] = max(height, self._heights.get(source, height))
        return True

    def is_behind(self, message: Message) -> bool:
        """Whether the progress says more than was told of that source."""
        source, run = message.run
        return (run, message.event["progress"]) > self._heights.get(source, (0, 0))

    def _end(self, run: tuple[str, int]) -> bool:
        if run in self._ends:
            return False
        self._ends[run] = None
        if len(self._ends) > _REMEMBERED:
            del self._ends[next(iter(self._ends))]
        self._heights.pop(run[0], None)
        self.an_end = True
        return True

    def show(self, snapshot: Snapshot, percent: int = 100) -> None:
        """`percent` is what it is shown with: progress that was said before, and comes later, would go back behind that."""
        source, run = snapshot.of
        if snapshot.is_settled:
            self._shown.add(snapshot.of)
            self.an_end = True
        else:
            self._heights[source] = (run, percent)

    def forget_progress(self) -> None:
        """History was lost, and the reader told to forget it too."""
        self._heights.clear()


def is_over(state: ChannelState, told: Told) -> bool:
    """The closing rule: an end was told, and no more is to come."""
    return told.an_end and not state.waits_for_more
