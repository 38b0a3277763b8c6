"""What a processor found, beside the text that it wrote. `dataclasses.asdict` of it is the JSON that a command answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SCHEMA: Final = 1
"""The version of this JSON, and of the request's. Keys may be added to it; none changes its meaning."""


@dataclass(frozen=True, slots=True)
class Heading:
    """One line of a document's outline."""

    title: str
    level: int
    """From 1."""
    page: int | None = None
    """From 1, where it leads to."""


@dataclass(frozen=True, slots=True)
class Extracted:
    pages: int | None = None
    """Pages, slides or sheets that the document has; for media that have them."""
    width: int | None = None
    height: int | None = None
    """Pixels, as they are looked at (after the rotation that an image asks for)."""
    frames: int | None = None
    duration_seconds: float | None = None
    encoding: str | None = None
    """Of a text file, as Python names it."""
    language: str | None = None
    """As the document says, BCP 47: `en`, `pt-BR`."""
    truncated: bool = False
    """Something of the text was left out. Set by itself when a limit of the Reading cut it."""
    document: Mapping[str, str] = field(default_factory=dict)
    """title, author, subject, creator, producer, created_at, modified_at (ISO 8601), …: as the document says, and only what it says."""
    outline: Sequence[Heading] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth keeping, as JSON: EXIF, sheet names, members of an archive. Up to 64 KiB."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The picture that was written to `thumbnail.webp`. Pixels."""

    width: int
    height: int
