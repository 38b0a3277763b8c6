"""Sound without a container: nothing but frames, each of which says how long it is.

Two bytes that mark a frame stand at the head of many a file by chance. That three frames follow one another, each where the one before it
ends, is no chance: so a recording is known by what it is, and not by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_IN_A_ROW: Final = 3
# kbit/s by index, ISO/IEC 11172-3 section 2.4.2.3 and 13818-3 section 2.4.2.3; the index 0 is "free": the length is not told.
_V1: Final = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_V2: Final = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""kbit/s by half the code, ATSC A/52 table 5.18."""
_HERTZ: Final = (44_100, 48_000, 32_000)
_DIVISORS: Final = {3: 1, 2: 2, 0: 4}
"""What the sampling rates of MPEG 1, 2 and 2.5 are divided by, by the two bits of the version."""


def sound(head: bytes) -> str | None:
    """The media type of a file that begins with three frames in a row; None when it begins with none."""
    return next((media_type for media_type, length in _KINDS if _follow(head, length)), None)


def _follow(head: bytes, length: Callable[[bytes], int]) -> bool:
    at = 0
    for _ in range(_IN_A_ROW):
        size = length(head[at : at + 6])
        if not size:
            return False
        at += size
    return True


def _mpeg(header: bytes) -> int:
    """The bytes of a frame of MPEG audio, layer I to III; 0 where none begins."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, hertz = header[2] >> 4, header[2] >> 2 & 3
    if version not in _DIVISORS or layer == 4 or hertz == 3 or not 0 < rate < 15:
        return 0
    bits = (_V1 if version == 3 else _V2)[layer][rate - 1] * 1000
    per_second, padding = _HERTZ[hertz] // _DIVISORS[version], header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // per_second + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // per_second + padding


def _adts(header: bytes) -> int:
    """The bytes of a frame of AAC, ISO/IEC 13818-7 section 6.2; 0 where none begins."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0


def _loas(header: bytes) -> int:
    """The bytes of a frame of AAC in LATM, ISO/IEC 14496-3 section 1.7.2; 0 where none begins."""
    if len(header) < 3 or header[0] != 0x56 or header[1] & 0xE0 != 0xE0:
        return 0
    size = (header[1] & 0x1F) << 8 | header[2]
    return size + 3 if size else 0


def _ac3(header: bytes) -> int:
    """The bytes of a frame of AC-3, ATSC A/52 section 5.3; 0 where none begins."""
    if len(header) < 6 or not header.startswith(b"\x0b\x77") or header[5] >> 3 > 10:
        return 0
    hertz, code = header[4] >> 6, header[4] & 63
    if hertz == 3 or code >= 2 * len(_AC3):
        return 0
    rate = _AC3[code // 2]
    return (4 * rate, 2 * (rate * 96_000 // 44_100 + code % 2), 6 * rate)[hertz]


def _eac3(header: bytes) -> int:
    """The bytes of a frame of enhanced AC-3, ATSC A/52 section E.2.2; 0 where none begins."""
    if len(header) < 6 or not header.startswith(b"\x0b\x77") or not 10 < header[5] >> 3 <= 16:
        return 0
    return 2 * (((header[2] & 7) << 8 | header[3]) + 1)


_KINDS: Final = (("audio/mpeg", _mpeg), ("audio/aac", _adts), ("audio/x-mp4a-latm", _loas), ("audio/ac3", _ac3), ("audio/eac3", _eac3))
