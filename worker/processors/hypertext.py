"""HTML as blocks: what a reader sees, each with where on the page it stands. Nothing is fetched, nothing is run.

Read as it streams by, without a tree: what a page is nested into costs nothing, however deep.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from worker.processors.blocks import Block, Heading, Item, Paragraph, Preformatted, Span, Table, line, tidy, words
from worker.processors.elements import ENDS, HEADINGS, INLINE, MANNERS, VOID, is_central, is_hidden, is_marginal

_SPACE: Final = re.compile(r"\s+")
_COLUMNS: Final = re.compile(r"[1-5]?[1-9]")
_START: Final = re.compile(r"\d{1,6}")
_DEPTH: Final = 512
"""Deeper elements are not remembered, as in browsers."""
_LINK_LIMIT_CHARACTERS: Final = 2000
_NO_LINKS: Final = ("#", "javascript:", "data:", "vbscript:")
_LAYOUT_CELL_CHARACTERS: Final = 1000
"""A table with so much in a cell is for looks."""
_META: Final = {
    "author": "author", "description": "description", "og:description": "description", "og:title": "title", "article:published_time": "created_at",
    "article:modified_time": "modified_at", "keywords": "keywords", "generator": "creator",
}  # fmt: skip
_SAID_LIMIT_CHARACTERS: Final = 1000
_LANGUAGE_CHARACTERS: Final = 35
_P: Final = frozenset(("p",))
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Placed:
    """A block, and where it stands."""

    block: Block
    characters: int
    linked: int
    """How many of them are links."""
    is_marginal: bool
    """In what a page has around its text: navigation, asides, a footer."""
    is_central: bool
    """In a `main` or an `article`."""


@dataclass(slots=True)
class Hypertext:
    """What a page says, once it is read."""

    blocks: list[Placed] = field(default_factory=list)
    title: str = ""
    language: str | None = None
    said: dict[str, str] = field(default_factory=dict)
    """description, author, …: of its `meta` elements."""


def read_hypertext(text: str) -> Hypertext:
    """Any text can be read. Memory: a few times what is shown."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    parser.finish()
    return parser.found


@dataclass(slots=True)
class _Open:
    """An element that has begun and not ended."""

    tag: str
    is_hidden: bool = False
    is_marginal: bool = False
    is_central: bool = False
    link: str | None = None
    """Of an `a`: the link around it, which is in force again afterwards."""


@dataclass(slots=True)
class _Cell:
    columns: int = 1
    blocks: list[Placed] = field(default_factory=list)


@dataclass(slots=True)
class _Grid:
    """A table under way."""

    rows: list[list[_Cell]] = field(default_factory=list)
    is_layout: bool = False
    """It has another table in it, or says that it is for looks."""


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Hypertext()
        self._open: list[_Open] = []
        self._count: Counter[str] = Counter()
        self._forgotten: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._link = ""
        self._spans: list[Span] = []
        self._lists: list[int | None] = []
        self._item: tuple[int, int | None] | None = None
        self._grids: list[_Grid] = []
        self._title: list[str] = []

    # what the parser meets

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        says = {name: text or "" for name, text in attrs}
        if tag in VOID:
            self._void(tag, says)
            return
        self._end_implied(tag)
        if tag not in INLINE:
            self._flush()
        if len(self._open) < _DEPTH:
            self._push(tag, says)
            self._begin(tag, says)
        else:
            self._forgotten[tag] += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._forgotten[tag]:
            self._forgotten[tag] -= 1
            self._flush()
        elif self._count[tag]:
            if tag not in INLINE:
                self._flush()
                while self._pop().tag != tag:
                    pass
            else:
                at = next(index for index in range(len(self._open) - 1, -1, -1) if self._open[index].tag == tag)
                self._close(self._open.pop(at))
        elif tag == "p":
            self._flush()

    def handle_data(self, data: str) -> None:
        if self._count["title"] and not self.found.title:
            self._title.append(data)
        if self._states["hidden"]:
            return
        if not self._states["pre"]:
            data = _SPACE.sub(" ", data)
            if not self._spans or self._spans[-1].text[-1:].isspace():
                data = data.lstrip()
        if data.strip("\u200b"):
            states = self._states
            self._spans.append(Span(data, bold=bool(states["bold"]), italic=bool(states["italic"]), code=bool(states["code"]), link=self._link))

    def finish(self) -> None:
        self._flush()
        while self._open:
            self._pop()

    # elements

    def _begin(self, tag: str, says: dict[str, str]) -> None:
        """What an element is the beginning of, beside itself."""
        match tag:
            case "html":
                self.found.language = self.found.language or line(says.get("lang", "") or says.get("xml:lang", ""))[:_LANGUAGE_CHARACTERS] or None
            case "ul" | "menu" | "dl":
                self._lists.append(None)
            case "ol":
                self._lists.append(int(says["start"]) - 1 if _START.fullmatch(says.get("start", "")) else 0)
            case "li" | "dd":
                self._begin_item()
            case "table":
                for grid in self._grids:
                    grid.is_layout = True
                self._grids.append(_Grid(is_layout=says.get("role") == "presentation"))
            case "tr" | "td" | "th" if self._grids:
                self._begin_cell(tag, says)

    def _void(self, tag: str, says: dict[str, str]) -> None:
        if tag == "meta":
            self._meta(says)
        elif tag == "hr":
            self._flush()
        elif tag == "br" and not self._states["hidden"]:
            self._spans.append(Span("\n"))
        elif tag == "img" and (alternative := line(says.get("alt", ""))):
            self.handle_data(f"[{alternative}]")

    def _meta(self, says: dict[str, str]) -> None:
        key = _META.get((says.get("name") or says.get("property") or "").lower())
        if key and (text := line(says.get("content", ""))[:_SAID_LIMIT_CHARACTERS]):
            self.found.said.setdefault(key, text)

    def _end_implied(self, tag: str) -> None:
        ended, barriers = ENDS.get(tag, (_NONE if tag in INLINE else _P, _NONE))
        if not any(self._count[name] for name in ended):
            return
        for index in range(len(self._open) - 1, -1, -1):
            known = self._open[index].tag
            if known in ended:
                self._flush()
                while len(self._open) > index:
                    self._pop()
                if ended is _P:
                    return
            elif known in barriers or (ended is _P and known not in INLINE):
                return

    def _push(self, tag: str, says: dict[str, str]) -> None:
        margin = is_marginal(tag, says, within_text=bool(self._states["central"]))
        element = _Open(tag, is_hidden=is_hidden(tag, says), is_marginal=margin, is_central=is_central(tag, says))
        if tag == "a":
            element.link = self._link
            address = says.get("href", "").strip()
            leads_on = len(address) <= _LINK_LIMIT_CHARACTERS and not address.lower().startswith(_NO_LINKS)
            self._link = address if leads_on else ""
        self._open.append(element)
        self._count[tag] += 1
        self._change(element, 1)

    def _pop(self) -> _Open:
        element = self._open.pop()
        self._close(element)
        return element

    def _close(self, element: _Open) -> None:
        self._count[element.tag] -= 1
        self._change(element, -1)
        match element.tag:
            case "ul" | "menu" | "dl" | "ol" if self._lists:
                self._lists.pop()
            case "li" | "dd":
                self._item = None
            case "table" if self._grids:
                self._end_table(self._grids.pop())
            case "title" if not self.found.title:
                self.found.title = line("".join(self._title))[:_SAID_LIMIT_CHARACTERS]
        if element.link is not None:
            self._link = element.link

    def _change(self, element: _Open, by: int) -> None:
        states = self._states
        states["hidden"] += by * element.is_hidden
        states["marginal"] += by * element.is_marginal
        states["central"] += by * element.is_central
        states["pre"] += by * (element.tag in {"pre", "listing", "textarea"})
        states["quoted"] += by * (element.tag == "blockquote")
        if manner := MANNERS.get(element.tag):
            states[manner] += by

    # blocks

    def _begin_item(self) -> None:
        depth = max(0, len(self._lists) - 1)
        if self._lists and (count := self._lists[-1]) is not None:
            self._lists[-1] = count + 1
            self._item = depth, count + 1
        else:
            self._item = depth, None

    def _flush(self) -> None:
        """What was said since the last block is a block."""
        if not self._spans:
            return
        spans = tidy(self._spans)
        if self._states["pre"] and (text := words(tuple(self._spans)).strip("\n")).strip():
            self._emit(Preformatted(text), len(text), 0)
        elif spans:
            self._emit(self._block(spans), len(words(spans)), sum(len(span.text) for span in spans if span.link))
        self._spans.clear()

    def _block(self, spans: tuple[Span, ...]) -> Block:
        if any(self._count[tag] for tag in HEADINGS):
            level = next(HEADINGS[element.tag] for element in reversed(self._open) if element.tag in HEADINGS)
            return Heading(level, spans)
        if self._item is not None:
            (depth, count), self._item = self._item, None
            return Item(depth, spans, count)
        return Paragraph(spans, quoted=bool(self._states["quoted"]))

    def _emit(self, block: Block, characters: int, linked: int) -> None:
        self._sink().append(Placed(block, characters, linked, is_marginal=bool(self._states["marginal"]), is_central=bool(self._states["central"])))

    def _sink(self) -> list[Placed]:
        """The cell of a table that is under way, or the page."""
        has_cell = self._grids and self._grids[-1].rows and self._grids[-1].rows[-1]
        return self._grids[-1].rows[-1][-1].blocks if has_cell else self.found.blocks

    # tables

    def _begin_cell(self, tag: str, says: dict[str, str]) -> None:
        rows = self._grids[-1].rows
        if tag == "tr" or not rows:
            rows.append([])
        if tag != "tr":
            columns = says.get("colspan", "")
            rows[-1].append(_Cell(int(columns) if _COLUMNS.fullmatch(columns) else 1))

    def _end_table(self, grid: _Grid) -> None:
        cells = [cell for row in grid.rows for cell in row]
        everything = [placed for cell in cells for placed in cell.blocks]
        longest = max((sum(placed.characters for placed in cell.blocks) for cell in cells), default=0)
        is_narrow = max((len(row) for row in grid.rows), default=0) == 1
        if grid.is_layout or is_narrow or longest > _LAYOUT_CELL_CHARACTERS:
            self._sink().extend(everything)
        elif everything:
            rows = tuple(tuple(text for cell in row for text in _across(cell)) for row in grid.rows if any(cell.blocks for cell in row))
            first = everything[0]
            characters, linked = sum(placed.characters for placed in everything), sum(placed.linked for placed in everything)
            self._sink().append(Placed(Table(rows), characters, linked, is_marginal=first.is_marginal, is_central=first.is_central))


def _across(cell: _Cell) -> list[str]:
    return [line(" ".join(_said(placed.block) for placed in cell.blocks)), *[""] * (cell.columns - 1)]


def _said(block: Block) -> str:
    match block:
        case Heading(_, spans) | Paragraph(spans) | Item(_, spans):
            return words(spans)
        case Preformatted(text):
            return text
        case Table(rows):
            return " ".join(" ".join(row) for row in rows)
    return ""
