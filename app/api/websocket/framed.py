"""A line that writes its own frames: handed off or parked, which is its wire's affair and may change once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from wsproto.frame_protocol import CloseReason, Opcode, ParseFailed

from app.api.websocket import frames
from app.api.websocket.backlog import Backlog
from app.api.websocket.incoming import Incoming
from app.telemetry.metrics import SOCKETS_SILENT, SOCKETS_SLOW

CLOSE_SECONDS = 5.0
"""How long a client may take for its half of a close; then it is cut off."""


class Wire(Protocol):
    """What carries a line's bytes. Nothing here raises: a wire that breaks calls `lost` of its line, perhaps before it returns."""

    def write(self, line: Framed, data: bytes | memoryview) -> int:
        """How much was taken, at once. Less than all: it calls `writable` of the line when it takes more."""

    def finish(self, line: Framed) -> None:
        """Nothing more is written: say so to the client, where TCP can, and go on reading."""

    def close(self, line: Framed) -> None:
        """After what was taken has gone out."""

    def abort(self, line: Framed) -> None: ...

    def settle(self, line: Framed) -> None:
        """Park the line, if it can be and is not."""


class Keeper(Protocol):
    """Who looks after the lines that were taken."""

    @property
    def parks(self) -> bool:
        """Whether plain TCP is to be parked."""

    def park(self, line: Framed, fd: int) -> None:
        """`fd` is the line's from now on, and its old wire has nothing to do with it any more."""

    def forget(self, line: Framed) -> None: ...


class _State(IntEnum):
    OPEN = 0
    CLOSING = 1
    """Our close is on its way, and the client's answer awaited."""
    ANSWERING = 2
    """The client closes; our answer is on its way."""
    FAILED = 3
    """The client broke the protocol; our close is on its way, and what still comes is dropped."""
    GONE = 4


class Framed:
    """Slots, and None where there is nothing: ten thousand of these stand idle."""

    __slots__ = ("_backlog", "_incoming", "_max_bytes", "_silent", "_state", "_untold", "code", "fd", "keeper", "on_gone", "on_message", "wire")

    def __init__(self, wire: Wire, fd: int, max_bytes: int) -> None:
        self.wire = wire
        self.fd = fd
        self.keeper: Keeper | None = None
        self.on_gone: Callable[[], None] | None = None
        self.on_message: Callable[[str | bytes], None] | None = None
        self.code: int | None = None
        """Of the close, whoever began it; None while it is open, and when it just broke."""
        self._max_bytes = max_bytes
        self._state = _State.OPEN
        self._backlog: Backlog | None = None
        self._incoming: Incoming | None = None
        self._silent = 0
        self._untold = 0
        """What waited when it was lost, or was dropped."""

    # ------------------------------------------------------------------------------------------------ what the reader calls

    @property
    def is_open(self) -> bool:
        return self._state is _State.OPEN

    @property
    def is_gone(self) -> bool:
        return self._state is _State.GONE

    @property
    def is_taken(self) -> bool:
        return self.keeper is not None

    @property
    def waiting(self) -> int:
        return self._untold + (len(self._backlog) if self._backlog is not None else 0)

    def send(self, message: bytes) -> bool:
        return self._write(frames.text(message))

    def send_binary(self, message: bytes) -> bool:
        return self._write(frames.frame(Opcode.BINARY, message))

    async def room(self) -> None:
        if self._backlog is not None and self._state is _State.OPEN:
            await self._backlog.room()

    def close(self, code: int, reason: str = "") -> None:
        if self._state is _State.OPEN:
            self._end(_State.CLOSING, code, frames.close(code, reason))

    async def settle(self) -> None:
        if self._state is _State.GONE:  # before there was anybody to tell
            asyncio.get_running_loop().call_soon(self._tell)
        elif self._state is _State.OPEN:
            self.wire.settle(self)

    def cut(self) -> None:
        if self._state is not _State.GONE:
            self.wire.abort(self)

    # ------------------------------------------------------------------------------------------------ what the wire calls

    def received(self, data: bytes) -> None:
        self._silent = 0
        if self._state is not _State.OPEN and self._state is not _State.CLOSING:
            return
        incoming = self._incoming or Incoming(self._max_bytes)
        self._incoming = None
        try:
            for opcode, payload in incoming.receive(data, keep=self.on_message is not None):
                self._take(opcode, payload)
        except ParseFailed as failure:
            self._fail(failure)
        else:
            if not incoming.is_idle and not self.is_gone:
                self._incoming = incoming

    def writable(self) -> None:
        backlog = self._backlog
        while backlog:
            waits = backlog.next
            taken = self.wire.write(self, waits)
            if self._state is _State.GONE:
                return
            backlog.took(taken)
            if taken < len(waits):
                return
        self._backlog = None
        self._flushed()

    @property
    def is_behind(self) -> bool:
        return self._backlog is not None

    def lost(self) -> None:
        """The wire is gone. Repeated: nothing."""
        if self._state is _State.GONE:
            return
        self._untold = self.waiting
        self._state = _State.GONE
        if self._backlog is not None:
            self._backlog.wake()
        self._backlog = self._incoming = None
        if self.keeper is not None:
            self.keeper.forget(self)
        asyncio.get_running_loop().call_soon(self._tell)

    def visit(self, silent_visits: int, *, ping: bool) -> None:
        """The sweep comes round. Cut off when nothing was heard for so many visits."""
        if self._state is not _State.OPEN:  # a timer waits for its end
            return
        self._silent += 1
        if self._silent > silent_visits:
            SOCKETS_SILENT.inc()
            self.cut()
        elif ping and self._backlog is None:
            self._write(frames.PING)

    # ------------------------------------------------------------------------------------------------ inside

    def _take(self, opcode: Opcode, payload: str | bytes | int | None) -> None:
        if opcode is Opcode.CLOSE:
            if self._state is _State.CLOSING:
                self._state = _State.ANSWERING  # both close: ours may still wait
                if self._backlog is None:
                    self._flushed()
            elif self._state is _State.OPEN:
                code = payload if isinstance(payload, int) else None
                self._end(_State.ANSWERING, code or CloseReason.NO_STATUS_RCVD, frames.close(code))
        elif self._state is not _State.OPEN:
            return
        elif opcode is Opcode.PING:
            self._write(frames.frame(Opcode.PONG, payload))  # type: ignore[arg-type]  # bytes, on a ping
        elif opcode is not Opcode.PONG and self.on_message is not None:
            self.on_message(payload)  # type: ignore[arg-type]  # a message

    def _fail(self, failure: ParseFailed) -> None:
        if self._state is _State.OPEN:
            self._end(_State.FAILED, failure.code, frames.close(failure.code, str(failure)))
        else:
            self.cut()

    def _write(self, frame: bytes) -> bool:
        """False when it is not open, or was over its bound."""
        if self._state is not _State.OPEN:
            return False
        self._put(frame)
        if self._backlog is not None and self._backlog.is_over:
            SOCKETS_SLOW.inc()
            # What waits is not worth its memory: the client gets it again, by its position, if it ever comes back.
            self._untold = len(self._backlog)
            self._backlog.drop()
            self._end(_State.CLOSING, CloseReason.TRY_AGAIN_LATER, frames.close(CloseReason.TRY_AGAIN_LATER))
        return self._state is _State.OPEN

    def _put(self, frame: bytes) -> None:
        if self._backlog is not None:
            self._backlog.add(frame)
            return
        written = self.wire.write(self, frame)
        if written < len(frame) and self._state is not _State.GONE:
            self._backlog = Backlog()
            self._backlog.add(frame, written=written)

    def _end(self, state: _State, code: int, close: bytes) -> None:
        self._state = state
        self.code = int(code)
        if self._backlog is not None:
            self._backlog.wake()
        self._put(close)
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.cut)
        if self._backlog is None:
            self._flushed()

    def _flushed(self) -> None:
        if self._state is _State.ANSWERING:
            self.wire.close(self)
        elif self._state is _State.FAILED:
            self.wire.finish(self)

    def _tell(self) -> None:
        tell, self.on_gone, self.on_message = self.on_gone, None, None
        if tell is not None:
            tell()
