"""Word documents: paragraphs, headings by their styles, lists, tables, notes, text boxes. What a revision deleted stays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Reading
from worker.processors.blocks import Block, Heading, Item, Paragraph, Span, Spans, Table, line, tidy
from worker.processors.charts import chart
from worker.processors.office import said
from worker.processors.package import Element, Package, attribute, child, local, number
from worker.processors.rendering import write
from worker.processors.wordstyles import WordStyles

_SHOWN: Final = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_HIDDEN: Final = {"rPr", "pPr", "tblPr", "tcPr", "trPr", "del", "moveFrom", "instrText", "delText", "Fallback"}
_OFF: Final = {"0", "false", "off"}
_SEPARATORS: Final = {"separator", "continuationSeparator", "continuationNotice"}
_COLUMNS: Final = 63
"""Word has no wider tables."""


class DocxProcessor(BuiltIn):
    name = "docx"
    media_types: tuple[str, ...] = (media.DOCX,)

    def process(self, reading: Reading) -> Extracted:
        with Package(reading.path) as package:
            document = _Document(package, package.related("", "officeDocument") or "word/document.xml")
            outline = write(document.blocks(reading), reading)
            return Extracted(document=said(package), language=document.styles.language, outline=outline)


@dataclass(slots=True)
class _Text:
    """A paragraph under way, and the blocks of the boxes that hang on it."""

    spans: list[Span] = field(default_factory=list)
    boxes: list[Block] = field(default_factory=list)

    def add(self, text: str, run: Element | None = None, link: str = "") -> None:
        manner = child(run, "rPr")
        self.spans.append(Span(text, bold=_is_on(manner, "b"), italic=_is_on(manner, "i"), link=link))


class _Document:
    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._relations = package.relations(main)
        self._counts: dict[tuple[str, int], int] = {}
        self.styles = WordStyles(self._tree("styles"), self._tree("numbering"))

    def blocks(self, reading: Reading) -> Iterator[Block]:
        for element in self._package.each(self._main, 3, reading):
            yield from self._block(element)
        for kind in ("footnotes", "endnotes", "comments"):
            if (name := self._package.related(self._main, kind)) is not None:
                for note in self._package.each(name, 2, reading):
                    yield from self._note(note)

    def _tree(self, kind: str) -> Element | None:
        name = self._package.related(self._main, kind)
        return self._package.tree(name) if name else None

    def _note(self, note: Element) -> Iterator[Block]:
        if attribute(note, "type") in _SEPARATORS:
            return
        mark = f"[{attribute(note, 'id')}] "
        for element in note:
            for block in self._block(element):
                yield Paragraph((Span(mark), *block.spans)) if mark and isinstance(block, Paragraph) else block
                mark = ""

    def _block(self, element: Element) -> Iterator[Block]:
        match local(element):
            case "p":
                text = _Text()
                self._collect(element, text, None, "")
                if spans := tidy(text.spans):
                    yield self._placed(child(element, "pPr"), spans)
                yield from text.boxes
            case "tbl":
                yield from self._table(element)
            case name if name not in _HIDDEN:  # a control, a revision, a choice: what is in it counts
                for inner in element:
                    yield from self._block(inner)

    def _collect(self, element: Element, text: _Text, run: Element | None, link: str) -> None:
        for part in element:
            match local(part):
                case "t":
                    text.add(part.text or "", run, link)
                case name if name in _SHOWN:
                    text.add(_SHOWN[name], run, link)
                case "footnoteReference" | "endnoteReference":
                    text.add(f"[{attribute(part, 'id')}]")
                case "r":
                    self._collect(part, text, part, link)
                case "hyperlink":
                    self._collect(part, text, run, self._relations.get(attribute(part, "id") or "", ("", ""))[1])
                case "docPr" if description := line(part.get("descr", "")):
                    text.add(f"[{description}]")
                case "chart" | "txbxContent":
                    text.boxes += self._hung(part)
                case name if name not in _HIDDEN:
                    self._collect(part, text, run, link)

    def _hung(self, part: Element) -> Iterator[Block]:
        """What hangs on a paragraph: a chart, or a box with text of its own."""
        if local(part) == "chart":
            yield from chart(self._package.tree(self._relations.get(attribute(part, "id") or "", ("", ""))[1]))
        else:
            for inner in part:
                yield from self._block(inner)

    def _placed(self, properties: Element | None, spans: Spans) -> Block:
        style = _value(child(properties, "pStyle"))
        own = child(properties, "outlineLvl")
        level = self.styles.level(style) if own is None else number(_value(own))
        if level is not None and 0 <= level < 9:  # 9 is text
            return Heading(level + 1, spans)
        listed = child(properties, "numPr")
        name, depth = (_value(child(listed, "numId")), number(_value(child(listed, "ilvl")))) if listed is not None else self.styles.numbering(style)
        return self._item(name, min(8, max(0, depth)), spans) if name not in {"", "0"} else Paragraph(spans)

    def _item(self, name: str, depth: int, spans: Spans) -> Item:
        count = self._counts[name, depth] = self._counts.get((name, depth), 0) + 1
        for deeper in range(depth + 1, 9):
            self._counts.pop((name, deeper), None)
        return Item(depth, spans, count if self.styles.is_numbered(name, depth) else None)

    def _table(self, table: Element) -> Iterator[Block]:
        """A merged cell says its text once, and leaves the places that it covers empty; a table in a cell becomes part of the cell's line."""
        rows = [self._row(row) for row in _within(table, "tr")]
        if any(any(row) for row in rows):
            yield Table(tuple(rows))

    def _row(self, row: Element) -> tuple[str, ...]:
        cells = [""] * _columns(child(row, "trPr", "gridBefore"), 0)
        for cell in _within(row, "tc"):
            cells += [self._cell(cell), *[""] * (_columns(child(cell, "tcPr", "gridSpan"), 1) - 1)]
        return tuple(cells)

    def _cell(self, cell: Element) -> str:
        if (merged := child(cell, "tcPr", "vMerge")) is not None and _value(merged) != "restart":
            return ""
        return line(" ".join(_said(block) for element in cell for block in self._block(element)))


def _said(block: Block) -> str:
    match block:
        case Table(rows):
            return " ".join(" ".join(row) for row in rows)
        case Heading(_, spans) | Paragraph(spans) | Item(_, spans):
            return "".join(span.text for span in spans)
    return ""


def _within(element: Element, name: str) -> Iterator[Element]:
    """The children of that name, also where a control or a revision stands around them."""
    for inner in element:
        found = local(inner)
        if found == name:
            yield inner
        elif found not in _HIDDEN and found not in {"tbl", "p"}:
            yield from _within(inner, name)


def _columns(element: Element | None, default: int) -> int:
    return min(_COLUMNS, number(_value(element), default))


def _value(element: Element | None) -> str:
    return attribute(element, "val") or "" if element is not None else ""


def _is_on(properties: Element | None, name: str) -> bool:
    found = child(properties, name)
    return found is not None and _value(found) not in _OFF
