"""Workbooks: sheet by sheet, what each cell shows: numbers as they are, dates as ISO 8601, the last result of a formula."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import Block, Heading, Page, cropped, line, plain
from worker.processors.office import said
from worker.processors.package import Element, Package, attribute, child, local, number
from worker.processors.rendering import write
from worker.processors.serials import Serials

_AT: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_TRUTH: Final = {"0": "FALSE", "1": "TRUE"}


class XlsxProcessor(BuiltIn):
    name = "xlsx"
    media_types: tuple[str, ...] = (media.XLSX,)

    def process(self, reading: Reading) -> Extracted:
        with Package(reading.path) as package:
            book = _Book(package, reading)
            write(book.blocks(), reading)
            return Extracted(pages=len(book.sheets), document=said(package), details={"sheets": [name for name, _ in book.sheets][:1000]})


class _Book:
    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        self._main = package.related("", "officeDocument") or "xl/workbook.xml"
        root = package.tree(self._main)
        if root is None:
            raise Failed("malformed", "no workbook")
        relations = package.relations(self._main)
        listed = child(root, "sheets")
        # A sheet may be a chart without cells, of another kind of part.
        self.sheets = [(sheet.get("name", ""), relations.get(attribute(sheet, "id") or "", ("", ""))) for sheet in (listed if listed is not None else ())]
        properties = child(root, "workbookPr")
        since_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        styles = package.related(self._main, "styles")
        self._serials = Serials(package.tree(styles) if styles else None, since_1904=since_1904)
        self._strings: list[str] = []

    def blocks(self) -> Iterator[Block]:
        strings = self._package.related(self._main, "sharedStrings")
        if strings is not None:
            self._strings = [_text(each) for each in self._package.each(strings, 2, self._reading) if local(each) == "si"]
        for name, (kind, part) in self.sheets:
            yield Page(name)
            if name:
                yield Heading(1, plain(name))
            if kind == "worksheet" and part in self._package:
                yield cropped(self._cells(part))

    def _cells(self, part: str) -> dict[tuple[int, int], str]:
        """What has text, up to the limit of text; no more of the sheet is read then."""
        found: dict[tuple[int, int], str] = {}
        room = self._reading.limits.text_characters
        row = -1
        for element in self._package.each(part, 3, self._reading):
            if local(element) != "row":
                continue
            row = number(element.get("r"), row + 2) - 1
            column = -1
            for cell in element:
                at = _AT.fullmatch(cell.get("r", ""))
                column = _column(at[1]) if at else column + 1
                if text := line(self._shown(cell)):
                    found[row, column] = text
                    room -= len(text) + 1
            if room < 0:
                break
        return found

    def _shown(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = child(cell, "is")
            return _text(inline) if inline is not None else ""
        content = child(cell, "v")
        value = (content.text or "") if content is not None else ""
        match kind:
            case "s":
                index = number(value, -1)
                return self._strings[index] if 0 <= index < len(self._strings) else ""
            case "b":
                return _TRUTH.get(value, value)
            case "n":
                return self._serials.shown(value, number(cell.get("s")))
        return value


def _text(element: Element) -> str:
    """Of a string, or of its rich runs; not how it is pronounced (rPh)."""
    if local(element) == "t":
        return element.text or ""
    return "".join(_text(part) for part in element if local(part) in {"t", "r"})


def _column(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
