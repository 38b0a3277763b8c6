"""Rich Text Format: its text, in whatever code pages it was written, and its title and author."""

from __future__ import annotations

import re
from typing import Any, Final

import striprtf.striprtf as library

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import line

_library: Any = library  # no annotations

_FILE_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""It is read whole, several times over. Pictures make a file larger than that, and they stand in it as digits."""
_PICTURE: Final = re.compile(rb"\{\\\*?\\?(?:shppict|pict|nonshppict|objdata)\b[^{}\\]*(?:\\[a-z]+-?\d*[^{}\\]*)*\}")
_SAYS: Final = {"title": "title", "author": "author", "subject": "subject", "operator": "last_modified_by"}
_INFO: Final = re.compile(r"\{\\info\b")
_SAID_LIMIT_CHARACTERS: Final = 1000


class RtfProcessor(BuiltIn):
    name = "rtf"
    media_types: tuple[str, ...] = (media.RTF,)

    def process(self, reading: Reading) -> Extracted:
        with reading.path.open("rb") as file:
            content = file.read(_FILE_LIMIT_BYTES + 1)
        is_cut = len(content) > _FILE_LIMIT_BYTES
        source = _PICTURE.sub(b"", content[:_FILE_LIMIT_BYTES]).decode("latin-1")
        text = _text(source)
        reading.write_text(text)
        if is_cut:
            reading.warn("truncated", f"Only the first {_FILE_LIMIT_BYTES} bytes were read")
        if not text.strip():
            reading.warn("no_text", "The document has no text")
        return Extracted(truncated=is_cut, document=_said(source))


def _text(source: str) -> str:
    try:
        text: str = _library.rtf_to_text(source, errors="replace")
    except (
        ValueError,
        LookupError,
        RecursionError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:  # what its own bugs raise over a broken file
        raise Failed("malformed", f"{type(error).__name__}: {error}") from error
    # A character beyond U+FFFF is written as two halves.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    # A table's cells come with a bar after each.
    return "\n".join(row[:-1].replace("|", "\t") if row.endswith("|") else row for row in text.split("\n"))


def _said(source: str) -> dict[str, str]:
    found = _INFO.search(source)
    if not found:
        return {}
    info = source[found.start() : found.start() + 16 * _SAID_LIMIT_CHARACTERS]
    said = {}
    for word, key in _SAYS.items():
        if group := re.search(rf"\{{\\{word}\b ?((?:[^{{}}\\]|\\[^{{}}])*)\}}", info):
            text = line(_text(rf"{{\rtf1\ansi\uc1 {group[1]}}}"))[:_SAID_LIMIT_CHARACTERS]
            if text:
                said[key] = text
    return said
