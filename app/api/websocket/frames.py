"""The few frames that a server writes (RFC 6455, section 5.2): whole, unmasked, never fragmented, no extension."""

from __future__ import annotations

import struct

from wsproto.frame_protocol import Opcode

_FIN = 0x80
_TWO_BYTES = 126
_EIGHT_BYTES = 127


def frame(opcode: Opcode, payload: bytes) -> bytes:
    size = len(payload)
    if size < _TWO_BYTES:
        return bytes((_FIN | opcode, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _FIN | opcode, _TWO_BYTES, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, _EIGHT_BYTES, size) + payload


def text(message: bytes) -> bytes:
    return frame(Opcode.TEXT, message)


def close(code: int | None, reason: str = "") -> bytes:
    """`code` None: without one, as the answer to a close that had none. A reason that is too long for the frame is cut."""
    if code is None:
        return frame(Opcode.CLOSE, b"")
    return frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()[:123].decode(errors="ignore").encode())


PING = frame(Opcode.PING, b"")
