"""The texts of section 6: well-formed and malformed UTF-8, after Markus Kuhn's stress test. Keys are the published numbers."""

from __future__ import annotations

KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
"""Five letters of Greek. The second takes three bytes; an editor would make U+03CC of it, which takes two."""
BROKEN = KOSME + b"\xed\xa0\x80edited"
"""Malformed at the 13th byte: a surrogate."""

_LATIN = "Hello-\u00b5@ßöäüàá-UTF-8!!".encode()
_SPLIT = len("Hello-\u00b5@ßöä".encode())
_TOO_HIGH = KOSME + b"\xf4\x90\x80\x80edited"
"""Malformed at the 13th byte: beyond U+10FFFF."""


def _bytewise(text: bytes) -> list[bytes]:
    """A byte each, and nothing in the last."""
    return [*(bytes([byte]) for byte in text), b""]


FRAGMENTED = {
    "6.1": [[b""], [b"", b"", b""], [b"", b"middle frame payload", b""]],
    "6.2": [[_LATIN], [_LATIN[:_SPLIT], _LATIN[_SPLIT:]], _bytewise(_LATIN), _bytewise(KOSME)],
    "6.3": [[BROKEN], _bytewise(BROKEN)],
}

FAIL_FAST = [(_TOO_HIGH[:11], _TOO_HIGH[11:15], _TOO_HIGH[15:]), (_TOO_HIGH[:12], _TOO_HIGH[12:13], _TOO_HIGH[13:])]


def _continuations(count: int) -> bytes:
    return (b"\x80\xbf" * 4)[:count]


def _spaced(first: int, last: int) -> bytes:
    return b"".join(bytes([byte, 0x20]) for byte in range(first, last))


def _overlong(last: int, *heads: bytes) -> list[bytes]:
    """Sequences of two to six bytes."""
    return [head + bytes([last]) for head in heads]


_UNFINISHED = [
    *(bytes([head]) + b"\x80" * size for size, head in enumerate((0xC0, 0xE0, 0xF0, 0xF8, 0xFC))),
    *(bytes([head]) + b"\xbf" * size for size, head in enumerate((0xDF, 0xEF, 0xF7, 0xFB, 0xFD))),
]
_NONCHARACTERS = [chr(plane << 16 | low).encode() for plane in range(17) for low in (0xFFFE, 0xFFFF)]
_SURROGATE_PAIRS = [(high, low) for high in (b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf") for low in (b"\xed\xb0\x80", b"\xed\xbf\xbf")]

WHOLE = {
    "6.5": [*(f"hello{sign}world".encode() for sign in "$¢€\U00024b62"), KOSME],
    "6.6": [KOSME[:size] for size in range(1, len(KOSME) + 1)],
    "6.7": [chr(point).encode() for point in (0, 0x80, 0x800, 0x10000)],
    "6.8": [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    "6.9": [chr(point).encode() for point in (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)],
    "6.10": [bytes([head]) + b"\xbf" * size for head, size in ((0xF7, 3), (0xFB, 4), (0xFD, 5))],
    "6.11": [*(chr(point).encode() for point in (0xD7FF, 0xE000, 0xFFFD, 0x10FFFF)), b"\xf4\x90\x80\x80"],
    "6.12": [b"\x80", b"\xbf", *(_continuations(count) for count in range(2, 7)), bytes(range(0x80, 0xBF))],
    "6.13": [_spaced(*heads) for heads in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))],
    "6.14": _UNFINISHED,
    "6.15": [b"".join(_UNFINISHED)],
    "6.16": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "6.17": _overlong(0xAF, b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80"),
    "6.18": _overlong(0xBF, b"\xc1", b"\xe0\x9f", b"\xf0\x8f\xbf", b"\xf8\x87\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf"),
    "6.19": _overlong(0x80, b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80"),
    "6.20": [b"\xed" + rest for rest in (b"\xa0\x80", b"\xad\xbf", b"\xae\x80", b"\xaf\xbf", b"\xb0\x80", b"\xbe\x80", b"\xbf\xbf")],
    "6.21": [high + low for high, low in _SURROGATE_PAIRS],
    "6.22": _NONCHARACTERS,
    "6.23": [chr(point).encode() for point in range(0xFFF9, 0x10000)],
}
