"""Plain text, and what is text underneath: Markdown, JSON, XML, as they stand."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Heading, Reading
from worker.processors.encoding import decode

_HEADING: Final = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$|^(?:```|~~~).*?^(?:```|~~~)", re.MULTILINE | re.DOTALL)
"""A line that is a heading; or a fence with all that is in it, where none is."""
_HEADINGS: Final = 1000


class TextProcessor(BuiltIn):
    name = "text"
    media_types: tuple[str, ...] = media.TEXTUAL

    def process(self, reading: Reading) -> Extracted:
        reading.progress(0, 100, "percent")
        decoded = decode(reading.path, limit=reading.limits.text_characters)
        decoded.warn(reading)
        reading.write_text(decoded.text)
        outline: list[Heading] = []
        if reading.media_type == media.MARKDOWN:
            reading.write_markdown(decoded.text)
            found = (Heading(each[2][:300], len(each[1])) for each in _HEADING.finditer(decoded.text) if each[1])
            outline = list(islice(found, _HEADINGS))
        reading.progress(100, 100, "percent")
        return Extracted(encoding=decoded.encoding, truncated=decoded.truncated, outline=outline)
