"""The opening handshake (RFC 6455, section 4.2): a request's head in, the head of an answer out."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "

Headers = list[tuple[bytes, bytes]]


class BadHandshake(Exception):
    """`status` and the text are the answer."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class Upgrade(NamedTuple):
    target: bytes
    headers: Headers
    """Names in lower case, in the order in which they came."""
    accept_key: bytes
    """What answers the client's key."""

    @classmethod
    def of(cls, method: bytes, target: bytes, headers: Headers) -> Upgrade:
        """From what an HTTP parser has found. Raises BadHandshake."""
        headers = [(name, value.strip()) for name, value in headers]
        if method != b"GET" or not target.isascii():
            raise BadHandshake(400, "a WebSocket opens with GET and a path in ASCII")
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
        own = [] if subprotocol is None else [(b"sec-websocket-protocol", subprotocol.encode("latin-1"))]
        return b"%s%s\r\n%s\r\n" % (_SWITCHING, self.accept_key, _lines([*own, *headers]))


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _accept_key(keys: list[bytes]) -> bytes:
    try:
        fits = len(keys) == 1 and len(binascii.a2b_base64(keys[0], strict_mode=True)) == 16
    except (binascii.Error, ValueError):
        fits = False
    if not fits:
        raise BadHandshake(400, "Sec-WebSocket-Key must be 16 bytes in base64, once")
    return binascii.b2a_base64(hashlib.sha1(keys[0] + _GUID, usedforsecurity=False).digest(), newline=False)


def answer(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of an HTTP answer. Raises ValueError for a header that would begin another line."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, phrase.encode(), _lines(headers))


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = [name + b": " + value for name, value in headers]
    text = b"\r\n".join([*lines, b""])
    if text.count(b"\r") != len(lines) or text.count(b"\n") != len(lines):
        raise ValueError("a header with a line break")
    return text
