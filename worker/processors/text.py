"""Plain text, and what is text underneath: Markdown, CSV, JSON, XML, HTML, as they stand."""

from __future__ import annotations

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Reading
from worker.processors.encoding import decode


class TextProcessor(BuiltIn):
    name = "text"
    media_types: tuple[str, ...] = media.TEXTUAL

    def process(self, reading: Reading) -> Extracted:
        reading.progress(0, 100, "percent")
        decoded = decode(reading.path, limit=reading.limits.text_characters)
        if decoded.guessed:
            reading.warn("encoding_guessed", f"Read as {decoded.encoding}, which nothing proves")
        if decoded.truncated:
            reading.warn("truncated", f"Only the first {len(decoded.text)} characters were kept")
        if not decoded.text.strip():
            reading.warn("no_text", "There is nothing but white space")
        reading.write_text(decoded.text)
        reading.progress(100, 100, "percent")
        return Extracted(encoding=decoded.encoding, truncated=decoded.truncated)
