"""The opening handshake (RFC 6455, section 4.2): a request's head in, the head of an answer out. uvicorn's parser has read it before us."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Headers = list[tuple[bytes, bytes]]


class BadHandshake(Exception):
    """`status` and the text are the answer."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Upgrade:
    target: bytes
    headers: Headers
    """Names in lower case, in the order in which they came."""
    accept_key: bytes
    """What answers the client's key."""

    @classmethod
    def parse(cls, head: bytes) -> Upgrade:
        """`head` ends before the empty line. Raises BadHandshake."""
        first, *lines = head.split(b"\r\n")
        method, _, rest = first.partition(b" ")
        target, _, version = rest.rpartition(b" ")
        pairs = [line.partition(b":") for line in lines]
        headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        if method != b"GET" or version != b"HTTP/1.1" or not target.isascii():
            raise BadHandshake(400, "a WebSocket opens with GET, a path in ASCII and HTTP/1.1")
        if _values(headers, b"sec-websocket-version") != [b"13"]:
            raise BadHandshake(426, "Sec-WebSocket-Version must be 13")
        return cls(target, headers, _accept_key(_values(headers, b"sec-websocket-key")))

    @property
    def subprotocols(self) -> list[str]:
        """Those offered, in the client's order."""
        offered = _values(self.headers, b"sec-websocket-protocol")
        return [each.strip() for value in offered for each in value.decode("latin-1").split(",") if each.strip()]

    def accepted(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The answer's head. Extensions are never agreed to."""
        ours: Headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", self.accept_key)]
        if subprotocol is not None:
            ours.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        return answer(101, [*ours, *headers])


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _accept_key(keys: list[bytes]) -> bytes:
    try:
        fits = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16
    except (binascii.Error, ValueError):
        fits = False
    if not fits:
        raise BadHandshake(400, "Sec-WebSocket-Key must be 16 bytes in base64, once")
    return base64.b64encode(hashlib.sha1(keys[0] + _GUID, usedforsecurity=False).digest())


def answer(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of an HTTP answer. Raises ValueError for a header that would begin another line."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}".encode(), *(name + b": " + value for name, value in headers)]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a header with a line break")
    return b"\r\n".join([*lines, b"", b""])
