"""One reading of one file: what a processor is given, and where it writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TextIO

TEXT: Final = "text.txt"
PAGES: Final = "pages.jsonl"
MARKDOWN: Final = "document.md"
THUMBNAIL: Final = "thumbnail.webp"
PAGE_BREAK: Final = "\f"
"""Between the pages in the text."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reading may use. The first four are enforced from outside, by the kernel and the clock; the others by whoever reads."""

    memory_bytes: int = 1024**3
    """Address space, which is more than what is resident."""
    cpu_seconds: int = 30
    wall_seconds: float = 60
    file_bytes: int = 256 * 1024**2
    """The largest file that may be written."""
    text_characters: int = 5 * 1024**2
    """Text beyond is left out, with the warning `truncated`."""
    pages: int = 5000
    """Pages beyond are counted, not read (warning `truncated`)."""
    pixels: int = 50_000_000
    frames: int = 500
    thumbnail_pixels: int = 320
    ocr_pages: int = 20
    """Pictures of pages whose text may be recognised; 0: none."""


class Reading:
    """Use it in `with`, or call `close`: until then what was written may not be on the disk."""

    def __init__(
        self,
        path: Path,
        media_type: str,
        folder: Path,
        *,
        filename: str = "",
        limits: Limits | None = None,
        options: Mapping[str, Any] | None = None,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.path: Final = path
        """The bytes; to be read only. The name says nothing."""
        self.media_type: Final = media_type
        self.folder: Final = folder
        """An empty folder for whatever is written; gone after the reading, but for the four files that have names here."""
        self.filename: Final = filename
        """As the user named it. Never a path."""
        self.limits: Final = limits or Limits()
        self.options: Final[Mapping[str, Any]] = options or {}
        """The `options` that came with the upload: the user's word, so check what you take."""
        self.truncated = False
        """Whether a limit cut the text."""
        self.warnings: Final[list[tuple[str, str]]] = []
        """Code and message, of what was warned of so far."""
        self._tell = tell
        self._files: dict[str, TextIO] = {}
        self._written = {TEXT: 0, MARKDOWN: 0}
        self._pages = 0

    def progress(self, done: int, total: int, unit: str = "bytes") -> None:
        """So much is done: `bytes`, `pages`, `frames`, … Cheap to call often. May raise, to stop the work."""
        if self._tell is not None:
            self._tell({"progress": {"done": done, "total": total, "unit": unit}})

    def warn(self, code: str, message: str = "") -> None:
        """Something that the user should know, though the source succeeds: a stable code, and a sentence. Said once for each code."""
        if all(code != known for known, _ in self.warnings):
            self.warnings.append((code, message))

    def write_text(self, piece: str) -> bool:
        """Add to the document's text. False when the limit is reached: the rest was left out, and what comes will be."""
        return self._write(TEXT, piece)

    def write_page(self, text: str, *, label: str | None = None) -> bool:
        """Add a page (slide, sheet, chapter) to the text, parted by a form feed, and to the pages, with its number from 1.

        `label` is the name that a sheet or slide has; it goes to the pages only. Pages without text count too. A form feed of the page's own
        becomes a line break: in the text they count the pages. False: as `write_text`.
        """
        text = text.replace(PAGE_BREAK, "\n")
        if self._pages >= self.limits.pages:
            return self._cut()
        before = self._written[TEXT]
        goes_on = self._write(TEXT, PAGE_BREAK + text if self._pages else text)
        kept = max(0, self._written[TEXT] - before - (1 if self._pages else 0))
        self._pages += 1
        line: dict[str, Any] = {"page": self._pages, "text": text[:kept]} | ({"label": label} if label is not None else {})
        self._file(PAGES).write(json.dumps(line, ensure_ascii=False) + "\n")
        return goes_on

    def write_markdown(self, piece: str) -> bool:
        """Add to the same document as Markdown, for those whose structure is known. False: as `write_text`."""
        return self._write(MARKDOWN, piece)

    def reset(self) -> None:
        """Drop what was written and warned of, for the next processor."""
        self.close()
        for name in (TEXT, PAGES, MARKDOWN, THUMBNAIL):
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()
        self._written, self._pages, self.truncated = {TEXT: 0, MARKDOWN: 0}, 0, False
        self.warnings.clear()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, name: str, piece: str) -> bool:
        room = self.limits.text_characters - self._written[name]
        if len(piece) > room:
            self._cut()
        self._file(name).write(piece[:room])
        self._written[name] += min(len(piece), room)
        return not self.truncated

    def _cut(self) -> bool:
        self.truncated = True
        of = f", of {self._pages} pages," if self._pages else ""
        self.warn("truncated", f"Only the first {self._written[TEXT]} characters{of} were kept")
        return False

    def _file(self, name: str) -> TextIO:
        found = self._files.get(name)
        if found is None:
            # Lone surrogates are no UTF-8; a document may have them all the same.
            found = self._files[name] = (self.folder / name).open("a", encoding="utf-8", errors="replace", newline="")
        return found
