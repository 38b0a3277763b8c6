"""A client's file name, made harmless to show. It never enters a key or a path."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

LIMIT_BYTES = 255
UNNAMED = "unnamed"


def clean(name: str | None) -> str:
    """The last path segment, NFC, without control, format and bidirectional characters, at most 255 bytes of UTF-8.

    The extension survives the cut. A name of which nothing is left is `unnamed`.
    """
    segment = (name or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(c for c in segment if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    text = unicodedata.normalize("NFC", shown).strip()
    if text in {"", ".", ".."}:
        return UNNAMED
    if len(text.encode()) <= LIMIT_BYTES:
        return text
    stem, dot, suffix = text.rpartition(".")
    tail = dot + suffix if stem and len(suffix.encode()) <= 16 else ""
    kept = (stem if tail else text).encode()[: LIMIT_BYTES - len(tail.encode())].decode(errors="ignore")
    return (kept + tail).rstrip()


def attachment(filename: str) -> str:
    """Content-Disposition (RFC 6266): the name in ASCII for old clients, and as it is (RFC 8187) where that is not all of it."""
    plain = "".join(one if " " <= one <= "~" and one not in '"\\%' else "_" for one in filename)
    exact = f"; filename*=UTF-8''{quote(filename, safe='!#$&+-.^_`|~')}" if plain != filename else ""
    return f'attachment; filename="{plain}"{exact}'
