"""A wire between a line and a test: it takes as much as it is told to, and remembers what the client would see."""

from __future__ import annotations

from app.api.websocket.framed import Framed
from tests.websocket.frames import Event, Reader
from tests.websocket.still_loop import StillLoop

MAX_BYTES = 1000
UNBOUNDED = 1 << 40


class StillWire:
    def __init__(self, loop: StillLoop, *, room: int = UNBOUNDED, listens: bool = True) -> None:
        self._loop, self.room = loop, room
        self.reader = Reader()
        self.seen: list[Event] = []
        """By the client. Whatever no server may send raises BadFrame on the spot."""
        self.heard: list[str | bytes] = []
        self.is_finished = self.is_over = False
        self.gone = self.forgotten = 0
        self.line = Framed(self, 7, MAX_BYTES)
        self.line.keeper = self
        self.line.on_gone = self._gone
        if listens:
            self.line.on_message = self.heard.append

    def client_says(self, data: bytes) -> None:
        if not self.is_over:
            self.line.received(data)
        self._loop.turn()

    def take(self, room: int) -> None:
        """The client reads so much. The line hears of it later, as from a poll."""
        self.room += room

    def poll(self) -> None:
        if self.line.is_behind and self.room and not self.is_over:
            self.line.writable()
        self._loop.turn()

    def breaks(self) -> None:
        self._over()
        self._loop.turn()

    # ------------------------------------------------------------------------------------------------ of the line

    def write(self, line: Framed, data: bytes | memoryview) -> int:
        assert line is self.line
        assert not self.is_over
        assert not self.is_finished
        taken = min(self.room, len(data))
        self.room -= taken
        self.seen += self.reader.feed(bytes(data[:taken]))
        return taken

    def finish(self, line: Framed) -> None:
        self.is_finished = True

    def close(self, line: Framed) -> None:
        self._over()

    def abort(self, line: Framed) -> None:
        self._over()

    def settle(self, line: Framed) -> None:
        """It stays."""

    # ------------------------------------------------------------------------------------------------ of its keeper

    parks = False

    def park(self, line: Framed, fd: int) -> None:
        raise AssertionError

    def forget(self, line: Framed) -> None:
        self.forgotten += 1

    def _over(self) -> None:
        assert not self.is_over, "over twice"
        self.is_over = True
        self.line.lost()

    def _gone(self) -> None:
        self.gone += 1
