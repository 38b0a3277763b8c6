"""Blocks written down: as text for a reader or a search engine, and as Markdown, which keeps the structure.

The text has a blank line between blocks, and a table's row on a line with tabs between its cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from worker.processors.base import Failed, Reading
from worker.processors.base import Heading as OutlineEntry
from worker.processors.blocks import Block, Heading, Item, Page, Paragraph, Preformatted, Span, Spans, Table, line, words

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>])")
# What makes a heading, a list or a rule of a line that is none.
_LEADING: Final = re.compile(r"^(\s*\d*)([#+.)=-])(?=[\s#=-]|$)", re.MULTILINE)
_LINK_UNSAFE: Final = re.compile(r"[\s()<>]")
_RULE_WIDTH: Final = 3
_OUTLINE_ENTRIES: Final = 1000
_TITLE_CHARACTERS: Final = 300


def write(blocks: Iterable[Block], reading: Reading) -> list[OutlineEntry]:
    """Both forms, in one pass; by page, when the first block is a Page. No more blocks are asked for once there is text enough.

    Returns the outline that the headings make. Memory: one page. Raises Failed: malformed, for what is nested too deep; what the blocks raise.
    """
    paper = _Paper(reading)
    try:
        for block in blocks:
            if not paper.add(block):
                break
    except RecursionError as error:
        raise Failed("malformed", "nested too deep") from error
    paper.end()
    if not paper.has_words:
        reading.warn("no_text", "The document has no text")
    return paper.outline


class _Paper:
    """What is written so far, with the right space between two blocks."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._last: Block | None = None
        self._page: list[str] | None = None
        self._label = ""
        self._number = 0
        self._room = reading.limits.text_characters
        self.has_words = False
        self.outline: list[OutlineEntry] = []

    def add(self, block: Block) -> bool:
        """False when there is no room for more."""
        if isinstance(block, Page) and not self._turn(block):
            return False
        text = _as_text(block)
        if not text:
            return True
        space = self._space(block)
        if self._last is not None:
            self._reading.write_markdown("\n" if space == "\n" else "\n\n")
        self._reading.write_markdown(as_markdown(block))
        self._last = block
        if isinstance(block, Heading) and len(self.outline) < _OUTLINE_ENTRIES:
            self.outline.append(OutlineEntry(line(text)[:_TITLE_CHARACTERS], block.level, self._number or None))
        self.has_words = self.has_words or not text.isspace()
        return self._write(space + text)

    def end(self) -> None:
        if self._page is not None:
            self._reading.write_page("".join(self._page), label=self._label or None)

    def _turn(self, page: Page) -> bool:
        if self._page is None and self._last is not None:
            raise ValueError("pages from the first block on, or none")
        goes_on = self._page is None or self._reading.write_page("".join(self._page), label=self._label or None)
        self._page, self._label, self._number = [] if goes_on else None, page.title, self._number + 1
        return goes_on

    def _space(self, block: Block) -> str:
        if self._last is None or self._page == []:
            return ""
        return "\n" if isinstance(block, Item) and isinstance(self._last, Item) else "\n\n"

    def _write(self, piece: str) -> bool:
        if self._page is None:
            return self._reading.write_text(piece)
        self._page.append(piece)
        self._room -= len(piece)
        return self._room >= 0


def _as_text(block: Block) -> str:
    match block:
        case Page():
            return ""
        case Table(rows):
            return "\n".join("\t".join(row) for row in rows)
        case Preformatted(text):
            return text
        case Item(depth, spans, number):
            return f"{'  ' * depth}{'-' if number is None else f'{number}.'} {words(spans)}"
        case Heading(_, spans) | Paragraph(spans):
            return words(spans)


def as_markdown(block: Block) -> str:
    match block:
        case Page():
            return ""
        case Heading(level, spans):
            return f"{'#' * max(1, min(6, level))} {' '.join(_marked(spans).split())}"
        case Paragraph(spans, quoted):
            body = _LEADING.sub(r"\1\\\2", _marked(spans)).replace("\n", "\\\n")
            return "\n".join(f"> {line}" for line in body.split("\n")) if quoted else body
        case Item(depth, spans, number):
            return f"{'    ' * depth}{'-' if number is None else f'{number}.'} {' '.join(_marked(spans).split())}"
        case Table(rows):
            return "\n".join(_table(rows))
        case Preformatted(text):
            fence = "`" * max(_RULE_WIDTH, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"


def _marked(spans: Spans) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: Span) -> str:
    inner = span.text.strip()
    if not inner:
        return span.text
    before, _, after = span.text.partition(inner)
    inner = f"`{inner}`" if span.code and "`" not in inner else _escaped(inner)
    mark = "**" * span.bold + "*" * span.italic
    inner = f"{mark}{inner}{mark[::-1]}"
    if span.link:
        target = _LINK_UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", span.link)
        inner = f"[{inner}]({target})"
    return before + inner + after


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _table(rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    """The first row is the head, since Markdown has no table without one, and as wide as the widest; others may be shorter."""
    width = max((len(row) for row in rows), default=0)
    for index, row in enumerate(rows):
        cells = [_escaped(cell).replace("|", "\\|").replace("\n", "<br>") for cell in row]
        if index == 0:
            cells += [""] * (width - len(cells))
        yield f"| {' | '.join(cells)} |"
        if index == 0:
            yield f"|{' --- |' * width}"
