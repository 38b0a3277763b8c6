"""Plain text, and what is text underneath: Markdown, CSV, JSON, XML, HTML, as they stand."""

from __future__ import annotations

from pathlib import Path

from app.domain import media
from app.domain.results import Warned
from worker.processors.base import Extracted, Progress
from worker.processors.encoding import decode


class TextProcessor:
    name = "text"
    media_types: tuple[str, ...] = media.TEXTUAL

    def extract(self, path: Path, media_type: str, progress: Progress) -> Extracted:  # noqa: ARG002 - the interface's; one way for all of them
        progress(0)
        decoded = decode(path)
        warnings = []
        if decoded.guessed:
            warnings.append(Warned(code="encoding_guessed", message=f"Read as {decoded.encoding}, which nothing proves"))
        if decoded.truncated:
            warnings.append(Warned(code="truncated", message=f"Only the first {len(decoded.text)} characters were kept"))
        if not decoded.text.strip():
            warnings.append(Warned(code="no_text", message="There is nothing but white space"))
        progress(100)
        return Extracted(text=decoded.text, encoding=decoded.encoding, truncated=decoded.truncated, warnings=warnings)
