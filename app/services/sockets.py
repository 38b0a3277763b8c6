"""How many sockets may be open: on a channel, of an owner, in this process. Each process counts its own; nothing is shared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from app.domain.errors import TooManySockets
from app.domain.ids import ChannelId, OwnerId


@dataclass(frozen=True, slots=True)
class SocketLimits:
    per_channel: int = 16
    per_owner: int = 100
    per_process: int = 20_000


class Sockets:
    def __init__(self, limits: SocketLimits) -> None:
        self._limits = limits
        self._owners: dict[OwnerId, ChannelId | Counter[ChannelId]] = {}
        """The channel of an owner's only socket, or how many are on each. Most have one, and a counter of one would cost more than all else."""
        self.open = 0

    def _of(self, owner: OwnerId) -> Counter[ChannelId]:
        held = self._owners.get(owner)
        return held if isinstance(held, Counter) else Counter([held] if held else [])

    def enter(self, owner: OwnerId, channel: ChannelId) -> None:
        """Count one more. Raises TooManySockets, and then counts nothing. Whoever entered leaves, once."""
        if self.open >= self._limits.per_process:
            raise _too_many(self._limits.per_process, "here")
        opened = self._of(owner) if owner in self._owners else None  # usually it is the first
        if (opened.total() if opened else 0) >= self._limits.per_owner:
            raise _too_many(self._limits.per_owner, "for this owner")
        if (opened[channel] if opened else 0) >= self._limits.per_channel:
            raise _too_many(self._limits.per_channel, "on this channel")
        self.open += 1
        if opened is None:
            self._owners[owner] = channel
        else:
            opened[channel] += 1
            self._keep(owner, opened)

    def leave(self, owner: OwnerId, channel: ChannelId) -> None:
        self.open -= 1
        opened = self._of(owner)
        opened[channel] -= 1
        self._keep(owner, +opened)  # or every name that ever came would stay

    def _keep(self, owner: OwnerId, opened: Counter[ChannelId]) -> None:
        if not opened:
            del self._owners[owner]
        else:
            self._owners[owner] = next(iter(opened)) if opened.total() == 1 else opened


def _too_many(limit: int, where: str) -> TooManySockets:
    return TooManySockets(detail=f"{limit} sockets are open {where} already", limit=limit)
