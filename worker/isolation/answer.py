"""What a reading came to, as it crosses from the process that read to the one that asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from app.domain.results import PREVIEW_CHARACTERS, Text, Warned
from headrace_plugin import MARKDOWN, PAGES, TEXT, THUMBNAIL, Extracted, Processor, Reading

_CHUNK_CHARACTERS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Checked when it arrives: whoever wrote it may have been taken over by the file that it read."""

    extracted: Extracted = field(default_factory=Extracted)
    processor: str | None = None
    """None: nobody reads such files."""
    version: str | None = None
    draws: bool = False
    """Whether it can be asked for a thumbnail."""
    text: Text | None = None
    """Of the file `text.txt`; None when there is none."""
    warnings: list[Warned] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Which of `text.txt`, `pages.jsonl`, `document.md` and `thumbnail.webp` were written."""


ANSWER: Final = TypeAdapter(Answer)


def answer(reading: Reading, extracted: Extracted, processor: Processor) -> Answer:
    """For a reading that is over. Reads the text once more, in pieces."""
    reading.close()
    warnings = [Warned(code=code, message=message) for code, message in reading.warnings]
    text = measure(reading.folder / TEXT, truncated=extracted.truncated or reading.truncated)
    files = [name for name in (TEXT, PAGES, MARKDOWN, THUMBNAIL) if (reading.folder / name).exists()]
    return Answer(
        extracted=extracted, processor=processor.name, version=processor.version, draws=hasattr(processor, "thumbnail"), text=text, warnings=warnings,
        files=files,
    )  # fmt: skip


def measure(path: Path, *, truncated: bool = False) -> Text | None:
    """Characters, words and the first 2,000 characters of a text in UTF-8; None without a file. Memory: 1 Mi characters."""
    characters = words = 0
    preview = last = ""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            while piece := file.read(_CHUNK_CHARACTERS):
                preview = preview or piece[:PREVIEW_CHARACTERS]
                # A word that goes on in the next piece is one word.
                words += len(piece.split()) - (bool(last) and not last.isspace() and not piece[0].isspace())
                characters += len(piece)
                last = piece[-1]
    except FileNotFoundError:
        return None
    return Text(characters=characters, words=words, truncated=truncated, preview=preview)
