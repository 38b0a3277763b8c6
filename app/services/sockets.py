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
        self._owners: Counter[OwnerId] = Counter()
        self._channels: Counter[tuple[OwnerId, ChannelId]] = Counter()
        self.open = 0

    def enter(self, owner: OwnerId, channel: ChannelId) -> None:
        """Count one more. Raises TooManySockets, and then counts nothing. Whoever entered leaves, once."""
        for count, limit, what in (
            (self.open, self._limits.per_process, "here"),
            (self._owners[owner], self._limits.per_owner, "for this owner"),
            (self._channels[owner, channel], self._limits.per_channel, "on this channel"),
        ):
            if count >= limit:
                raise TooManySockets(detail=f"{limit} sockets are open {what} already", limit=limit)
        self.open += 1
        self._owners[owner] += 1
        self._channels[owner, channel] += 1

    def leave(self, owner: OwnerId, channel: ChannelId) -> None:
        self.open -= 1
        self._owners[owner] -= 1
        self._channels[owner, channel] -= 1
        # Or every name that ever came would stay.
        if not self._owners[owner]:
            del self._owners[owner]
        if not self._channels[owner, channel]:
            del self._channels[owner, channel]
