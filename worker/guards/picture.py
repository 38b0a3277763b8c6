"""Pictures: how many pixels they say to have. The parsers have the same limit; here it costs a header."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from app.domain.errors import ProcessingFailed
from worker.guards.limits import Unpacked

_HEAD_BYTES: Final = 64 * 1024
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_JPEG_SEGMENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Canvas:
    width: int
    height: int
    bits: int = 24
    """Of a pixel, unpacked."""


def check(file: BinaryIO, size: int, limits: Unpacked) -> str | None:
    """Why it is not to be read, or None. Raises ProcessingFailed: bomb. What is no picture, or none of these, is left to the parsers."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    try:
        found = _png(head) or _gif(head) or _bmp(head) or _webp(head) or _jpeg(file, head) or _tiff(file, head)
    except struct.error:  # cut within its header
        return None
    if found is None or found.width * found.height <= limits.pixels:
        return None
    unpacked = (found.width * found.bits + 7) // 8 * found.height
    said = f"{found.width} × {found.height} pixels"  # noqa: RUF001 - as one writes it
    if unpacked > limits.ratio * size:
        raise ProcessingFailed("bomb", f"{said} of {size} bytes")
    return f"{said}, of which {limits.pixels} are read at most"


def webp_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height of a WebP; None when it is none."""
    found = _webp(file.read(30))
    return (found.width, found.height) if found else None


def _png(head: bytes) -> _Canvas | None:
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    width, height, depth, colour = struct.unpack_from(">IIBB", head, 16)
    return _Canvas(width, height, depth * _CHANNELS.get(colour, 4))


def _gif(head: bytes) -> _Canvas | None:
    if not head.startswith((b"GIF87a", b"GIF89a")):
        return None
    width, height = struct.unpack_from("<HH", head, 6)
    return _Canvas(width, height, 8)


def _bmp(head: bytes) -> _Canvas | None:
    if not head.startswith(b"BM"):
        return None
    width, height = struct.unpack_from("<ii", head, 18)
    (bits,) = struct.unpack_from("<H", head, 28)
    return _Canvas(abs(width), abs(height), bits)


def _webp(head: bytes) -> _Canvas | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    kind = head[12:16]
    if kind == b"VP8X":
        return _Canvas(1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little"), 32)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return _Canvas(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 32)
    width, height = struct.unpack_from("<HH", head, 26)
    return _Canvas(width & 0x3FFF, height & 0x3FFF)


def _jpeg(file: BinaryIO, head: bytes) -> _Canvas | None:
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        file.seek(at)
        segment = file.read(9)
        marker, length = struct.unpack_from(">HH", segment)
        # A frame begins: SOF0 to SOF15, without the three that only look like it.
        if 0xFFC0 <= marker <= 0xFFCF and marker not in {0xFFC4, 0xFFC8, 0xFFCC}:
            height, width = struct.unpack_from(">HH", segment, 5)
            return _Canvas(width, height)
        at += 1 if marker == 0xFFFF else 2 + length  # a marker may be padded
    return None


def _tiff(file: BinaryIO, head: bytes) -> _Canvas | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return None
    (at,) = struct.unpack_from(f"{order}I", head, 4)
    file.seek(at)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    said: dict[int, int] = {}
    for _ in range(count):
        entry = file.read(12)
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        if tag in {_TIFF_WIDTH, _TIFF_HEIGHT}:
            (said[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", entry, 8)
    return _Canvas(said.get(_TIFF_WIDTH, 0), said.get(_TIFF_HEIGHT, 0))
