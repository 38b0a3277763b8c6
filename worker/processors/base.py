"""What a processor is: a pure function of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.domain.results import Warned

Progress = Callable[[int], None]
"""Called with the percent (0-100) of this document that is done; cheap to call often, and may raise to stop the work."""

TEXT_LIMIT_CHARACTERS = 5 * 1024 * 1024
"""Text beyond this is left out, with the warning `truncated`."""


@dataclass(frozen=True, slots=True)
class Extracted:
    text: str = ""
    pages: int | None = None
    """Page count, for media that have pages."""
    encoding: str | None = None
    """Of a text file, as Python names it."""
    truncated: bool = False
    document: dict[str, str] = field(default_factory=dict)
    """title, author, created_at, … as the document says; only what it says."""
    warnings: list[Warned] = field(default_factory=list)


class Processor(Protocol):
    name: str
    media_types: tuple[str, ...]
    """Patterns for fnmatch, e.g. `text/*`."""

    def extract(self, path: Path, media_type: str, progress: Progress) -> Extracted:
        """Read the file. Raises ProcessingFailed: malformed, encrypted."""
