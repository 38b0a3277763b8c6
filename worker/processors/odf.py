"""OpenDocument: texts, spreadsheets and presentations, all of one vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import Block, Heading, Item, Page, Paragraph, Span, cropped, line, plain, tidy, words
from worker.processors.package import Element, Package, attribute, child, local, number
from worker.processors.rendering import write

_UNSAID: Final = {"tracked-changes", "sequence-decls", "variable-decls", "forms", "annotation", "settings", "table-header-columns", "desc", "title"}
_SAYS: Final = {
    "title": "title",
    "initial-creator": "author",
    "creator": "last_modified_by",
    "subject": "subject",
    "creation-date": "created_at",
    "date": "modified_at",
}
_SAID_LIMIT_CHARACTERS: Final = 1000
_REPEATS: Final = 1000
"""A cell or row says how often it repeats, and a spreadsheet's last one fills the rest of the sheet."""


class OdfProcessor(BuiltIn):
    name = "odf"
    media_types: tuple[str, ...] = (media.ODT, media.ODS, media.ODP)

    def process(self, reading: Reading) -> Extracted:
        with Package(reading.path) as package:
            if _is_encrypted(package):
                raise Failed("encrypted")
            document = _Document(package, reading)
            outline = write(document.blocks(), reading)
            has_pages = reading.media_type != media.ODT
            return Extracted(
                pages=document.pages if has_pages else None, document=_said(package), language=_language(package), outline=outline if has_pages is False else ()
            )


@dataclass(slots=True)
class _Styles:
    """Those that a document makes for itself."""

    bold: set[str] = field(default_factory=set)
    italic: set[str] = field(default_factory=set)
    numbered: set[tuple[str, int]] = field(default_factory=set)
    """(list style, depth) of lists that count."""

    def add(self, styles: Element | None) -> None:
        for style in styles if styles is not None else ():
            name = attribute(style, "name") or ""
            for part in style:
                if local(part) == "text-properties":
                    if attribute(part, "font-weight") == "bold":
                        self.bold.add(name)
                    if attribute(part, "font-style") == "italic":
                        self.italic.add(name)
                elif local(part) == "list-level-style-number" and attribute(part, "num-format"):
                    self.numbered.add((name, number(attribute(part, "level"), 1) - 1))


class _Document:
    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        self._styles = _Styles()
        self._styles.add(child(package.tree("styles.xml"), "styles"))
        self._styles.add(next((found for found in package.each("content.xml", 2, reading) if local(found) in {"automatic-styles", "body"}), None))
        self.pages = 0

    def blocks(self) -> Iterator[Block]:
        # content.xml: the document, its body, the body's one child by kind, and what is in that.
        for element in self._package.each("content.xml", 4, self._reading):
            match local(element), self._reading.media_type:
                case "table", media.ODS:
                    yield from self._sheet(element)
                case "page", media.ODP:
                    yield from self._slide(element)
                case _, media.ODT:
                    yield from self._blocks(element)

    def _sheet(self, table: Element) -> Iterator[Block]:
        self.pages += 1
        name = attribute(table, "name") or ""
        yield Page(name)
        if name:
            yield Heading(1, plain(name))
        yield cropped(self._cells(table, self._reading.limits.text_characters))

    def _slide(self, page: Element) -> Iterator[Block]:
        self.pages += 1
        title = next((line(self._words(frame)) for frame in page if attribute(frame, "class") == "title"), "")
        yield Page(title)
        if title:
            yield Heading(1, plain(title))
        for frame in page:
            if attribute(frame, "class") != "title":
                yield from self._blocks(frame)

    def _blocks(self, element: Element, depth: int = -1, style: str = "", count: int | None = None) -> Iterator[Block]:
        """`depth`, `style` and `count`: of the list that is around; no list, -1."""
        match local(element):
            case "h" | "p" as name:
                if spans := tidy(list(self._spans(element, Span("")))):
                    if name == "h":
                        yield Heading(number(attribute(element, "outline-level"), 1), spans)
                    else:
                        yield Item(depth, spans, count) if depth >= 0 else Paragraph(spans)
                yield from self._framed(element)
            case "list":
                style = attribute(element, "style-name") or style
                yield from self._items(element, min(8, depth + 1), style)
            case "table":
                table = cropped(self._cells(element, _REPEATS * _REPEATS))
                if table.rows:
                    yield table
            case name if name not in _UNSAID:
                for inner in element:
                    yield from self._blocks(inner, depth, style, count)

    def _items(self, items: Element, depth: int, style: str) -> Iterator[Block]:
        is_numbered = (style, depth) in self._styles.numbered
        for count, item in enumerate((found for found in items if local(found) == "list-item"), 1):
            for inner in item:
                yield from self._blocks(inner, depth, style, count if is_numbered else None)

    def _framed(self, paragraph: Element) -> Iterator[Block]:
        """Text boxes that hang on a paragraph, and its notes, after it."""
        for found in paragraph.iter():
            match local(found):
                case "text-box":
                    for inner in found:
                        yield from self._blocks(inner)
                case "note":
                    body = child(found, "note-body")
                    yield Paragraph(plain(f"[{_mark(found)}] {line(self._words(body)) if body is not None else ''}"))

    def _spans(self, element: Element, manner: Span) -> Iterator[Span]:
        yield replace(manner, text=_spaced(element.text))
        for part in element:
            match local(part):
                case "s":
                    yield replace(manner, text=" " * min(_REPEATS, number(attribute(part, "c"), 1)))
                case "tab":
                    yield replace(manner, text="\t")
                case "line-break":
                    yield replace(manner, text="\n")
                case "a":
                    yield from self._spans(part, replace(manner, link=attribute(part, "href") or ""))
                case "span":
                    name = attribute(part, "style-name") or ""
                    inner = replace(manner, bold=manner.bold or name in self._styles.bold, italic=manner.italic or name in self._styles.italic)
                    yield from self._spans(part, inner)
                case "note":
                    yield Span(f"[{_mark(part)}]")
                case "frame" | "custom-shape":  # _framed
                    pass
                case name if name not in _UNSAID:
                    yield from self._spans(part, manner)
            yield replace(manner, text=_spaced(part.tail))

    def _words(self, element: Element) -> str:
        blocks = (block for inner in element for block in self._blocks(inner))
        return "\n".join(words(block.spans) for block in blocks if isinstance(block, Heading | Paragraph | Item))

    def _cells(self, table: Element, room: int) -> dict[tuple[int, int], str]:
        """What has text, up to `room` characters. A cell that repeats is said as often."""
        found: dict[tuple[int, int], str] = {}
        at = 0
        for row in _rows(table):
            cells: dict[int, str] = {}
            column = 0
            for cell in row:
                if local(cell) not in {"table-cell", "covered-table-cell"}:
                    continue
                text = line(self._words(cell))
                repeats = number(attribute(cell, "number-columns-repeated"), 1)
                if text:
                    cells |= dict.fromkeys(range(column, column + min(repeats, _REPEATS)), text)
                column += repeats
            repeats = number(attribute(row, "number-rows-repeated"), 1)
            if cells:
                for again in range(at, at + min(repeats, _REPEATS)):
                    found |= {(again, column): text for column, text in cells.items()}
                    room -= sum(len(text) + 1 for text in cells.values())
                    if room < 0:
                        return found
            at += repeats
        return found


def _mark(note: Element) -> str:
    citation = child(note, "note-citation")
    return (citation.text or "") if citation is not None else ""


def _spaced(text: str | None) -> str:
    """OpenDocument collapses white space, and has elements for what is meant."""
    if not text:
        return ""
    return " " * text[0].isspace() + line(text) + " " * (text[-1].isspace() and not text.isspace())


def _rows(table: Element) -> Iterator[Element]:
    for inner in table:
        match local(inner):
            case "table-row":
                yield inner
            case "table-header-rows" | "table-rows" | "table-row-group":
                yield from _rows(inner)


def _is_encrypted(package: Package) -> bool:
    manifest = package.tree("META-INF/manifest.xml")
    return manifest is not None and any(local(found) == "encryption-data" for found in manifest.iter())


def _said(package: Package) -> dict[str, str]:
    root = child(package.tree("meta.xml"), "meta")
    found = {}
    for element in root if root is not None else ():
        text = line(element.text or "")[:_SAID_LIMIT_CHARACTERS]
        if text and (key := _SAYS.get(local(element))):
            found[key] = text
    return found


def _language(package: Package) -> str | None:
    root = child(package.tree("styles.xml"), "styles")
    for found in root.iter() if root is not None else ():
        if local(found) == "text-properties" and (language := attribute(found, "language")) not in {None, "none", ""}:
            country = attribute(found, "country")
            return f"{language}-{country}" if country and country != "none" else language
    return None
