"""The text cut into chunks: within a page, within a section, at the ends of paragraphs, sentences or words, whichever is the largest that fits.

The library cuts a text that it is given whole, so it is given a window at a time; where a section goes on beyond the window its last chunk is
cut again, in the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic import TypeAdapter

from headrace_plugin import CHUNKS, MARKDOWN, PAGES, TEXT, Chunk, Heading
from headrace_plugin.reading import PAGE_BREAK
from worker.chunks.headings import Place, in_markdown, places

_WINDOW_CHARACTERS: Final = 1 << 16
"""The library's worst case, a text without any white space, grows with the square of what it is given: some 7 s for 1 Mi characters, 0.03 s for these."""
_WINDOW_CHUNKS: Final = 8
_BYTES_OF_A_TOKEN: Final = 4
"""In UTF-8: so it is for English, about so for most other scripts, with the tokenizers of today."""
_BLOCK_BYTES: Final = 1 << 20
_TOLD_CHUNKS: Final = 100


@dataclass(frozen=True, slots=True)
class Cut:
    """How a text is cut, and what is known of it."""

    characters: int
    """The most that a chunk has."""
    whole_characters: int
    """What the text has."""
    files: tuple[str, ...]
    """What the reading wrote."""
    outline: tuple[Heading, ...] = ()


CUT: Final = TypeAdapter(Cut)


def write(folder: Path, cut: Cut, tell: Callable[[dict[str, Any]], None]) -> int:
    """`chunks.jsonl` beside the text in `folder`, and how many chunks are in it. Memory: a window, and the outline."""
    path = folder / CHUNKS
    path.unlink(missing_ok=True)  # whoever read the document may have left something there
    number = 0
    with path.open("x", encoding="utf-8", newline="") as out:
        for chunk in _of_document(folder, cut):
            out.write(json.dumps(asdict(chunk), ensure_ascii=False) + "\n")
            number = chunk.chunk
            if number % _TOLD_CHUNKS == 0:
                tell({"progress": {"done": chunk.end, "total": cut.whole_characters, "unit": "characters"}})
    return number


def _of_document(folder: Path, cut: Cut) -> Iterator[Chunk]:
    has_pages = PAGES in cut.files and _breaks(folder / TEXT) < _lines(folder / PAGES)
    markdown = _open(folder / MARKDOWN) if MARKDOWN in cut.files else StringIO()
    with markdown, _open(folder / TEXT) as text, _open(folder / TEXT) as ahead:
        headings = in_markdown(markdown)
        if (first := next(headings, None)) is not None:
            headings = chain((first,), headings)
        else:
            headings = (Heading(each.title, each.level, each.page if has_pages else None) for each in cut.outline)
        yield from chunks(text, places(ahead, headings), characters=cut.characters, has_pages=has_pages)


def chunks(text: TextIO, places: Iterator[Place], *, characters: int, has_pages: bool) -> Iterator[Chunk]:
    """`text` is opened so that line breaks stay as they are."""
    # Not for all readings: they are forked from a process that has imported this file, and it takes 18 MiB of the memory that each may use.
    from semantic_text_splitter import TextSplitter  # noqa: PLC0415

    splitter = TextSplitter(characters)
    window = _Window(text, max(_WINDOW_CHARACTERS, _WINDOW_CHUNKS * characters))
    number, page = 0, 1
    here, following = Place(0, ()), next(places, None)
    while True:
        while following is not None and following.start <= window.start:
            here, following = following, next(places, None)
        piece, is_whole = window.piece(following.start if following else None)
        if not piece and is_whole:
            if not window.turn():
                return
            page += 1
            continue
        found = splitter.chunk_indices(piece)
        if not is_whole and found and (len(found) > 1 or found[0][0] > 0):
            piece = piece[: found.pop()[0]]
        for offset, words in found:
            number += 1
            start = window.start + offset
            yield Chunk(number, words, start, start + len(words), page if has_pages else None, here.headings, _tokens(words))
        window.start += len(piece)


class _Window:
    """What is held of a text: from `start`, which only goes on."""

    def __init__(self, text: TextIO, size: int) -> None:
        self.start = 0
        self._text = text
        self._size = size
        self._held = ""
        self._held_from = 0

    def piece(self, border: int | None) -> tuple[str, bool]:
        """From `start` to the border, a page break, or the end of the text, and True; else as much as a window holds, and False."""
        end = self._end(border)
        if end is None:
            rest = self._held[self.start - self._held_from :]
            self._held, self._held_from = rest + self._text.read(self._size - len(rest)), self.start
            end = self._end(border)
        if end is None:
            return self._held, len(self._held) < self._size
        return self._held[self.start - self._held_from : end], True

    def turn(self) -> bool:
        """Over the page break that `start` is at. False: it is at the end of the text."""
        is_break = self._held.startswith(PAGE_BREAK, self.start - self._held_from)
        self.start += is_break
        return is_break

    def _end(self, border: int | None) -> int | None:
        end = len(self._held) if border is None else border - self._held_from
        found = self._held.find(PAGE_BREAK, self.start - self._held_from, end)
        if found >= 0:
            return found
        return end if border is not None and end <= len(self._held) else None


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_OF_A_TOKEN)


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8", errors="replace", newline="")


def _breaks(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(PAGE_BREAK.encode()) for block in iter(lambda: file.read(_BLOCK_BYTES), b""))


def _lines(path: Path) -> int:
    count, last = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last not in {b"", b"\n"})
