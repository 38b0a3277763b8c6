"""What the ledger says of a channel."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import OwnerId


@dataclass(frozen=True, slots=True)
class ChannelState:
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

    @property
    def waits_for_more(self) -> bool:
        return bool(self.busy) or self.keep_open or self.ended < self.expected


@dataclass(frozen=True, slots=True)
class Registration:
    owner: OwnerId
    """Who owns the bare name: who asked, or another who was first."""
    new: bool
    """Redis did not know the name before."""
