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
        opened = self._of(owner)
        for count, limit, what in (
            (self.open, self._limits.per_process, "here"),
            (opened.total(), self._limits.per_owner, "for this owner"),
            (opened[channel], self._limits.per_channel, "on this channel"),
        ):
            if count >= limit:
                raise TooManySockets(detail=f"{limit} sockets are open {what} already", limit=limit)
        self.open += 1
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
