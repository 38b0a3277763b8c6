"""Lines: every socket and event stream of this process. One timer pings sockets and finds those that went silent; a stopping process closes all, in batches."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from starlette.websockets import WebSocket

from app.api.websocket.conversation import TAKE_LINE
from app.api.websocket.framed import Framed
from app.api.websocket.line import Line
from app.api.websocket.lot import CAN_PARK, Lot
from app.api.websocket.plain import Plain
from app.telemetry.metrics import SOCKETS

PING_SECONDS = 25
SILENT_SECONDS = 60
MAX_MESSAGE_BYTES = 64 * 1024
"""What a client may send in one message."""

_PARKED, _HANDED_OFF, _PLAIN = (SOCKETS.labels(tier) for tier in ("parked", "handed_off", "plain"))  # to look one up costs more than to count

_TURNS = 5
"""The sweep comes to each line every fifth second, and pings it in every fifth visit: the pings are spread over the 25 s."""
_TURN_SECONDS = PING_SECONDS / _TURNS**2
_SILENT_VISITS = SILENT_SECONDS // _TURNS

_BATCH_SECONDS = 0.1
_SMALL_BATCH = 20
"""So many that come back at once are no storm."""
_LAST_SECONDS = 2


class Stream(Protocol):
    """An answer over HTTP that goes on until its channel is over."""

    @property
    def is_open(self) -> bool:
        """It was neither closed nor has it ended."""

    def close(self, code: int) -> None:
        """After what waits was written."""

    def cut(self) -> None:
        """Now, whatever waits."""


class Lines:
    def __init__(self, *, parks: bool = True) -> None:
        """`parks` False: sockets stay handed off."""
        self.parks = parks and CAN_PARK
        self.is_draining = False
        self._by_fd: list[Framed | None] = []
        self._plain: set[Plain] = set()
        self._streams: set[Stream] = set()
        self._count = 0
        self._empty = asyncio.Event()
        self._lot: Lot | None = None
        self._parked = 0
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Line | Stream]:
        yield from [line for line in self._by_fd if line is not None]
        yield from list(self._plain)
        yield from list(self._streams)

    # ------------------------------------------------------------------------------------------------ coming and going

    def take(self, websocket: WebSocket) -> Line:
        """The accepted socket's line. Whoever takes it sets it up, and awaits its `settle`."""
        take = websocket.scope.get("extensions", {}).get(TAKE_LINE)
        if take is None:
            self._count += 1
            plain = Plain(websocket, self.forget)
            self._plain.add(plain)
            _PLAIN.inc()
            return self._late(plain)
        line: Framed = take()
        self._count += 1
        line.keeper = self
        _HANDED_OFF.inc()
        if line.is_gone:
            self.forget(line)
        else:
            self._place(line)
        return self._late(line)

    def admit(self, stream: Stream) -> None:
        """It is closed when the sockets are. Whoever admits it dismisses it."""
        self._count += 1
        self._streams.add(stream)
        SOCKETS.labels("stream").inc()
        if self.is_draining:
            stream.close(1012)

    def dismiss(self, stream: Stream) -> None:
        self._streams.discard(stream)
        SOCKETS.labels("stream").dec()
        self._gone()

    def _gone(self) -> None:
        self._count -= 1
        if not self._count:
            self._empty.set()

    def _late(self, line: Line) -> Line:
        """A handshake that began before we were told to stop."""
        if self.is_draining:
            line.close(1012)
        return line

    def park(self, line: Framed, fd: int) -> None:
        self._displace(line)
        line.fd = fd
        self._place(line)
        if self._lot is None:
            self._lot = Lot(self._by_fd)
        self._parked += 1
        _HANDED_OFF.dec()
        _PARKED.inc()
        self._lot.admit(line)

    def forget(self, line: Framed | Plain) -> None:
        self._gone()
        if isinstance(line, Plain):
            self._plain.discard(line)
            _PLAIN.dec()
            return
        self._displace(line)
        if self._lot is not None and line.wire is self._lot:
            self._parked -= 1
            _PARKED.dec()
        else:
            _HANDED_OFF.dec()
        if not self._parked and self._lot is not None:
            self._lot.shut()
            self._lot = None

    def _place(self, line: Framed) -> None:
        self._by_fd.extend([None] * (line.fd + 1 - len(self._by_fd)))
        self._by_fd[line.fd] = line
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._sweep)

    def _displace(self, line: Framed) -> None:
        if line.fd < len(self._by_fd) and self._by_fd[line.fd] is line:  # else the number is another's already
            self._by_fd[line.fd] = None

    # ------------------------------------------------------------------------------------------------ the sweep

    def _sweep(self) -> None:
        self._timer = None
        self.visit()
        if self._count > len(self._plain) + len(self._streams):
            self._timer = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._sweep)

    def visit(self) -> None:
        """A fifth of the lines; every fifth of these is pinged."""
        visit, remainder = divmod(self._turn, _TURNS)
        for line in self._by_fd[remainder::_TURNS]:
            if line is not None:
                line.visit(_SILENT_VISITS, ping=(visit + line.fd // _TURNS) % _TURNS == 0)
        self._turn += 1

    # ------------------------------------------------------------------------------------------------ the end

    async def drain(self, seconds: float) -> None:
        """Close all with 1012, spread over so long: clients come back at once, and find another process. Returns when they are gone.

        Two seconds later at the most: whoever has not answered by then is cut off.
        """
        self.is_draining = True
        batch = max(_SMALL_BATCH, math.ceil(self._count * _BATCH_SECONDS / max(seconds, _BATCH_SECONDS)))
        while is_open := [line for line in self if line.is_open]:
            for line in is_open[:batch]:
                line.close(1012)
            await asyncio.sleep(_BATCH_SECONDS)
        if self._count:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._empty.wait()
        self.cut()

    def cut(self) -> None:
        """All that are left, now."""
        for line in self:
            line.cut()
