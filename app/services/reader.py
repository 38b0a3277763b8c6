"""Reader: one client's place in a channel. It has no task: the hub drives it, and what must wait is done by its keeper, for as long as that takes."""

from __future__ import annotations

from typing import Protocol

from app.domain.ids import ChannelId, OwnerId
from app.domain.position import Position
from app.services.held import Held
from app.services.message import Message
from app.services.outlet import Outlet
from app.services.told import Told
from app.telemetry.metrics import delivered

UNKNOWN = Position("", 0)
"""The position of a reader whose channel Redis does not know any more."""


class Keeper(Protocol):
    """Who does for readers what takes time."""

    def catch_up(self, reader: Reader) -> None:
        """Something may be lacking. The reader holds what comes until it has been read."""

    def linger(self, reader: Reader) -> None:
        """It was told something, and an end before or with that."""

    def look(self, reader: Reader) -> None:
        """It was told that it has to look for ends, soon."""

    def left(self, reader: Reader, told: int) -> None:
        """It has gone, and was told the milestones up to that offset."""


class Reader:
    """Slots, and None where there is nothing: ten thousand of these stand idle."""

    __slots__ = ("_keeper", "channel", "epoch", "held", "offset", "outlet", "told")

    def __init__(self, keeper: Keeper, channel: tuple[OwnerId, ChannelId], outlet: Outlet) -> None:
        self._keeper = keeper
        self.channel = channel
        self.outlet: Outlet | None = outlet
        """None when the client has gone."""
        self.epoch, self.offset = UNKNOWN
        """The milestones up to here were sent to the outlet."""
        self.held: Held | None = Held()
        """None when it follows what is live."""
        self.told: Told | None = None

    # ------------------------------------------------------------------------------------------------ from the hub

    def tell(self, message: Message) -> None:
        if self.held is not None:
            self.held.put(message)
        elif not self.follow(message):
            self.miss()

    def miss(self) -> None:
        """Something may not have come."""
        if self.held is not None:
            self.held.miss()
        elif self.outlet is not None:
            self.held = Held(missed=True)
            self._keeper.catch_up(self)

    def compare(self, head: Position | None) -> None:
        """With the channel's, as the sweep found it."""
        if self.held is None and (self.epoch, self.offset) != (head or UNKNOWN):
            self.miss()

    def look(self) -> None:
        """An end may have been said that no stream has (any more)."""
        if self.outlet is not None:
            self.told = self.told or Told()
            self.told.looks = True
            self._keeper.look(self)

    # ------------------------------------------------------------------------------------------------ to the outlet

    def follow(self, message: Message) -> bool:
        """Take it when it is what comes next; drop it when it is known. False when something lies between."""
        if message.epoch and (message.epoch != self.epoch or message.head > self.offset + bool(message.offset)):
            return False
        if message.offset:
            if message.offset <= self.offset:
                return True
            delivered(message.event["at"])
        self.take(message)
        return True

    def take(self, message: Message) -> None:
        if self._admits(message) and not self.say(message.body):
            return
        if message.offset:
            self.epoch, self.offset = message.epoch, message.offset

    def _admits(self, message: Message) -> bool:
        if self.told is None:
            if message.event["event"] == "source.accepted":
                return True
            self.told = Told()
        return self.told.admits(message)

    def say(self, body: bytes) -> bool:
        """False when the client has gone."""
        if self.outlet is None:
            return False
        if not self.outlet.send(body):
            self.detach()
            return False
        if self.told is not None and self.told.an_end:
            self._keeper.linger(self)
        return True

    def drain(self) -> bool:
        """Follow what was held. False when something is lacking: then the history is to be read again."""
        held = self.held
        if held is not None and not all(self.follow(message) for message in held.take()):
            held.miss()
        return held is None or not held.missed

    def settle(self) -> bool:
        """Follow what was held, and from now on what is live. False as for `drain`."""
        if self.drain():
            self.held = None
        return self.held is None

    def close(self, code: int = 1000) -> None:
        outlet = self.outlet
        self.detach()
        if outlet is not None:
            outlet.close(code)

    def detach(self) -> None:
        """The client has gone. Idempotent; what it was told is noted soon."""
        outlet, self.outlet = self.outlet, None
        if outlet is not None:
            self._keeper.left(self, self.offset - outlet.waiting)
