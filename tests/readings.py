"""One reading of one file by one processor, in this process, and what came of it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace_plugin import MARKDOWN, PAGES, TEXT, THUMBNAIL, Extracted, Limits, Processor, Reading


@dataclass
class Read:
    extracted: Extracted
    text: str | None
    """None: nothing was written."""
    pages: list[dict[str, Any]] | None
    markdown: str | None
    truncated: bool
    warnings: list[tuple[str, str]]
    progress: list[dict[str, Any]] = field(default_factory=list)
    thumbnail: bytes | None = None

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.warnings]


def read(processor: Processor, source: Path | bytes, media_type: str = "", *, filename: str = "", limits: Limits | None = None, draw: bool = False) -> Read:
    """Raises what the processor raises. `draw`: the thumbnail as well."""
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        made.mkdir()
        path = source if isinstance(source, Path) else Path(folder) / "source"
        if isinstance(source, bytes):
            path.write_bytes(source)
        with Reading(path, media_type, made, filename=filename, limits=limits, tell=lambda message: told.append(message["progress"])) as reading:
            extracted = processor.process(reading)
            truncated = extracted.truncated or reading.truncated
        if draw:
            processor.thumbnail(reading)
        text, pages, markdown = (_text(made / name) for name in (TEXT, PAGES, MARKDOWN))
        picture = made / THUMBNAIL
        return Read(
            extracted, text, None if pages is None else [json.loads(line) for line in pages.splitlines()], markdown, truncated, reading.warnings, told,
            picture.read_bytes() if picture.exists() else None,
        )  # fmt: skip


def _text(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None
