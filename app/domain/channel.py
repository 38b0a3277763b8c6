"""What the ledger says of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.domain.ids import OwnerId
from app.domain.position import Position


class ChannelState(NamedTuple):
    owner: OwnerId
    head: int
    """Offset of the latest milestone; 0 before the first."""
    epoch: str
    mark: int
    """Where a reader without a position begins: after this offset."""
    keep_open: bool
    busy: int
    """Sources of the channel that are open, and uploads to it that are being received."""
    first: int = 1
    """Offset of the first milestone that is kept; head + 1 when none is."""
    registered: bool = True
    """Its owner opened it; else an upload did, or it was opened anew after a wipe."""
    expected: int = 0
    ended: int = 0
    """Sources whose latest run has ended since the count began (`Channels.register`), of so many that its owner waits for (0: not said)."""
    past: tuple[Position, ...] = ()
    """The epochs before this one, each with its last offset, oldest first: offsets go on from one to the next."""
    restarted: bool = False
    """Redis began another life since the channel began, and may have lost what it said last."""
    began: datetime | None = None
    """When its first epoch that is known did, by Redis' clock."""

    @property
    def waits_for_more(self) -> bool:
        return bool(self.busy) or self.keep_open or self.ended < self.expected

    @property
    def last(self) -> Position:
        return Position(self.epoch, self.head)

    def epoch_of(self, offset: int) -> str:
        """In which epoch that milestone was said."""
        return next((end.epoch for end in self.past if offset <= end.offset), self.epoch)

    def goes_on_after(self, position: Position) -> bool:
        """Whether all that was said after the position is kept, and nothing that was said up to there was lost."""
        end = self.head if position.epoch == self.epoch else next((end.offset for end in self.past if end.epoch == position.epoch), -1)
        return self.first - 1 <= position.offset <= end


class Heads(NamedTuple):
    of: list[Position | None]
    """The last milestone of each channel; None where it is not registered."""
    life: str
    """Which life of the server this is: another one after each start of it."""


@dataclass(frozen=True, slots=True)
class Registration:
    owner: OwnerId
    """Who owns the bare name: who asked, or another who was first."""
    new: bool
    """Redis did not know the name before."""
