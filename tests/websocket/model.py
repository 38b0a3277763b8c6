"""What a server owes to a client's bytes, by RFC 6455 alone. It reads the stream as a whole; a server reads it in chunks, and must come to the same."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from tests.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, BadFrame, Event, Frame, code_of, mask

_ANYTHING = frozenset({1002, 1007})


@dataclass
class Owed:
    events: list[Event] = field(default_factory=list)
    """Messages as they came, and a pong for each ping."""
    closed: Event | None = None
    """The client's close, once it has come: the answer has its code."""
    fails: frozenset[int] = frozenset()
    """Codes, one of which the server fails the connection with; none: the client did nothing wrong yet."""
    may_wait: bool = False
    """With failing, as what is wrong is wrong already in a head of which nothing follows yet."""
    is_idle: bool = True
    """Neither a frame nor a message is unfinished."""


class Violation(Exception):
    def __init__(self, *codes: int) -> None:
        self.codes = frozenset(codes)


class _Stream:
    def __init__(self, stream: bytes, max_bytes: int) -> None:
        self.owed = Owed()
        self._stream, self._max_bytes = stream, max_bytes
        self._kind: int | None = None
        self._message = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self) -> None:
        at = 0
        try:
            while at < len(self._stream) and self.owed.closed is None:
                at = self._frame(at)
        except Violation as violation:
            self.owed.fails = violation.codes
            behind = at + 2 + _more(self._stream[at + 1])
            self.owed.may_wait = len(self._stream) < behind or (len(self._stream) == behind and bool(self._stream[at + 1] & 0x7F))
        else:
            self.owed.is_idle = self._kind is None and at == len(self._stream)

    def _frame(self, at: int) -> int:
        """Where the next one begins; beyond the end of the stream when this one is not whole."""
        first, second, *_ = (*self._stream[at : at + 2], None)
        if second is None:
            return len(self._stream) + 1
        final, opcode, short = bool(first & 0x80), first & 0x0F, second & 0x7F
        control = opcode & 8
        if first & 0x70 or opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG} or not second & 0x80 or (control and (not final or short > 125)):
            raise Violation(1002)
        start = at + 2 + {126: 2, 127: 8}.get(short, 0)
        if start > len(self._stream):
            return len(self._stream) + 1
        size = int.from_bytes(self._stream[at + 2 : start]) if short > 125 else short
        if size < {126: 126, 127: 1 << 16}.get(short, 0) or size >= 1 << 63:
            raise Violation(1002)
        body = start + 4
        if body > len(self._stream):
            return len(self._stream) + 1
        whole = body + size <= len(self._stream)
        payload = mask(self._stream[body : body + size], self._stream[start:body])
        if not control:
            self._data(Frame(opcode, payload, final and whole))
        elif whole:
            self._control(opcode, payload)
        return body + size if whole else len(self._stream) + 1

    def _data(self, frame: Frame) -> None:
        """As much of the frame as is there."""
        if (frame.opcode == CONTINUATION) != (self._kind is not None):
            raise Violation(1002)
        self._kind = frame.opcode if self._kind is None else self._kind
        self._message += frame.payload
        malformed = False
        if self._kind == TEXT:
            try:
                self._decoder.decode(frame.payload, frame.final)
            except UnicodeDecodeError:
                malformed = True
        large = len(self._message) > self._max_bytes
        if malformed or large:  # of one frame either may be seen first
            raise Violation(*([1007] if malformed else []), *([1009] if large else []))
        if frame.final:
            self.owed.events.append(Event("text" if self._kind == TEXT else "binary", self._message))
            self._kind, self._message = None, b""
            self._decoder.reset()

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.owed.events.append(Event("pong", payload))
        elif opcode == CLOSE:
            try:
                code_of(payload)
            except BadFrame:
                raise Violation(*_ANYTHING) from None
            self.owed.closed = Event("close", payload[:2])


def _more(second: int) -> int:
    """Bytes of a head behind its first two."""
    return {126: 2, 127: 8}.get(second & 0x7F, 0) + (4 if second & 0x80 else 0)


def owed(stream: bytes, max_bytes: int) -> Owed:
    reading = _Stream(stream, max_bytes)
    reading.read()
    return reading.owed
