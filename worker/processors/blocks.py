"""What a document is made of, whatever format it came in: headings, paragraphs, list items, tables, pages.

A reader yields blocks as it meets them, so a long document is never whole in memory; `rendering.py` writes them down.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text in one manner. White space in it is as it should be shown."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    link: str = ""
    """Where it leads; never followed."""


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    """From 1."""
    spans: Spans


@dataclass(frozen=True, slots=True)
class Paragraph:
    spans: Spans
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list."""

    depth: int
    """0: of a list that is in no other."""
    spans: Spans
    number: int | None = None
    """Of a numbered list."""


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[tuple[str, ...], ...]
    """Rows may differ in length. A cell has one line."""


@dataclass(frozen=True, slots=True)
class Preformatted:
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """From here on another page, slide, sheet or chapter. The title is its label; where it is to be read as well, a Heading follows."""

    title: str = ""


Block = Heading | Paragraph | Item | Table | Preformatted | Page


def plain(text: str) -> Spans:
    return (Span(text),)


def line(text: str) -> str:
    """White space of any kind as one space, none at the ends."""
    return " ".join(text.split())


def words(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def tidy(spans: list[Span]) -> Spans:
    """Neighbours of one manner joined; no white space at either end, and no empty span."""
    joined: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if joined and _manner(joined[-1]) == _manner(span):
            joined[-1] = _with_text(span, joined[-1].text + span.text)
        else:
            joined.append(span)
    while joined and not (first := joined[0].text.lstrip()):
        del joined[0]
    if joined:
        joined[0] = _with_text(joined[0], first)
    while joined and not (last := joined[-1].text.rstrip()):
        del joined[-1]
    if joined:
        joined[-1] = _with_text(joined[-1], last)
    return tuple(joined)


def cropped(cells: dict[tuple[int, int], str]) -> Table:
    """The table of cells at (row, column), without the rows and columns that are empty throughout.

    What a sheet with two far corners takes is what its cells take, not its area.
    """
    rows: dict[int, dict[int, str]] = {}
    for (row, column), text in cells.items():
        rows.setdefault(row, {})[column] = text
    columns = sorted({column for _, column in cells})
    return Table(tuple(_row(rows[row], columns) for row in sorted(rows)))


def _row(cells: dict[int, str], columns: list[int]) -> tuple[str, ...]:
    last = max(cells)
    return tuple(cells.get(column, "") for column in columns if column <= last)


def _manner(span: Span) -> tuple[bool, bool, bool, str]:
    return span.bold, span.italic, span.code, span.link


def _with_text(span: Span, text: str) -> Span:
    return Span(text, bold=span.bold, italic=span.italic, code=span.code, link=span.link)
