"""Frames of RFC 6455, written and read by hand: what the server's code and its libraries think of them does not count here."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_CODES = {*range(1000, 1004), *range(1007, 1014), *range(3000, 5000)}
"""What may stand in a close frame. 1014 is a gateway's to say, and no server or client of ours is one."""


class BadFrame(Exception):
    """No server may send this."""


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes = b""
    final: bool = True
    reserved: int = 0
    """The three reserved bits, as a number."""
    claimed: int | None = None
    """Said to be the length of the payload, where that is not the truth."""
    wide: int = 0
    """Bytes that the length takes at least beyond its first: 0, 2 or 8. More than it needs is against the rules."""

    def head(self, *, masked: bool = True) -> bytes:
        size = len(self.payload) if self.claimed is None else self.claimed
        first, mask = self.final << 7 | self.reserved << 4 | self.opcode, masked << 7
        if size < 126 and not self.wide:
            return struct.pack("!BB", first, mask | size)
        if size < 1 << 16 and self.wide < 8:
            return struct.pack("!BBH", first, mask | 126, size)
        return struct.pack("!BBQ", first, mask | 127, size)

    def masked(self, key: bytes | None = None) -> bytes:
        """As a client sends it."""
        key = os.urandom(4) if key is None else key
        return self.head() + key + mask(self.payload, key)

    def bare(self) -> bytes:
        """As a server sends it."""
        return self.head(masked=False) + self.payload


def mask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    stretched = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(stretched)).to_bytes(size)


def closing(code: int | None = None, reason: bytes = b"") -> Frame:
    return Frame(CLOSE, (b"" if code is None else struct.pack("!H", code)) + reason)


def split(stream: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Head, mask and payload of each frame, as far as they are there."""
    at = 0
    while at < len(stream):
        short = stream[at + 1] & 0x7F
        wide = {126: 2, 127: 8}.get(short, 0)
        start = at + 2 + wide
        size = int.from_bytes(stream[at + 2 : start]) if wide else short
        body = start + (4 if stream[at + 1] & 0x80 else 0)
        yield stream[at:start], stream[start:body], stream[body : body + size]
        at = body + size


@dataclass(frozen=True)
class Event:
    kind: str
    """text, binary, ping, pong or close"""
    payload: bytes


class Reader:
    """A server's stream, whatever the chunks; strict: BadFrame at the first thing that the RFC does not let a server send."""

    def __init__(self) -> None:
        self._waiting = b""
        self._message: tuple[str, bytes] | None = None
        self._closed = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        self._waiting += chunk
        while (frame := self._next()) is not None:
            yield from self._take(frame)

    def end(self) -> None:
        """That the stream does not end in the middle of a frame."""
        if self._waiting:
            raise BadFrame(f"cut off: {self._waiting[:20]!r}")

    def _next(self) -> Frame | None:
        have = self._waiting
        if len(have) < 2:
            return None
        first, second = have[:2]
        if second & 0x80:
            raise BadFrame("a server masks nothing")
        start = 2 + {126: 2, 127: 8}.get(second, 0)
        if len(have) < start:
            return None
        size = int.from_bytes(have[2:start]) if start > 2 else second
        if size < {2: 0, 4: 126, 10: 1 << 16}[start] or size >= 1 << 63:
            raise BadFrame(f"a length of {size} in {start - 2} bytes")
        if first & 0x70:
            raise BadFrame("reserved bits, and no extension was agreed on")
        if len(have) < start + size:
            return None
        self._waiting = have[start + size :]
        return Frame(first & 0x0F, have[start : start + size], final=bool(first & 0x80))

    def _take(self, frame: Frame) -> Iterator[Event]:
        if self._closed:
            raise BadFrame("a frame after the close")
        if frame.opcode in {CLOSE, PING, PONG}:
            if not frame.final or len(frame.payload) > 125:
                raise BadFrame("a control frame is one, of up to 125 bytes")
            if frame.opcode == CLOSE:
                self._closed = True
                code_of(frame.payload)
            yield Event({CLOSE: "close", PING: "ping", PONG: "pong"}[frame.opcode], frame.payload)
        elif frame.opcode in {CONTINUATION, TEXT, BINARY}:
            if (frame.opcode == CONTINUATION) != (self._message is not None):
                raise BadFrame("a continuation of nothing, or a message in a message")
            kind, before = self._message or ({TEXT: "text", BINARY: "binary"}[frame.opcode], b"")
            whole = before + frame.payload
            self._message = None if frame.final else (kind, whole)
            if frame.final:
                if kind == "text":
                    _checked(whole)
                yield Event(kind, whole)
        else:
            raise BadFrame(f"opcode {frame.opcode}")


def code_of(payload: bytes) -> int | None:
    """The code of a close frame. BadFrame: it must not be sent."""
    if not payload:
        return None
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or code not in _CODES:
        raise BadFrame(f"a close of {payload!r}")
    _checked(payload[2:])
    return code


def _checked(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise BadFrame("text that is no UTF-8") from error
