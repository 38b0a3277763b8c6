"""Presentations: slide by slide, in the order in which they are shown; titles, text, tables, notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import Block, Heading, Item, Page, Paragraph, Span, Spans, Table, line, plain, tidy, words
from worker.processors.charts import chart
from worker.processors.office import said
from worker.processors.package import Element, Package, attribute, child, local, number
from worker.processors.rendering import write

_TITLES: Final = {"title", "ctrTitle"}
_UNSAID: Final = {"sldNum", "dt", "ftr", "hdr"}
"""Placeholders that say the same on every slide."""
_OFF: Final = {"0", "false"}


class PptxProcessor(BuiltIn):
    name = "pptx"
    media_types: tuple[str, ...] = (media.PPTX,)

    def process(self, reading: Reading) -> Extracted:
        with Package(reading.path) as package:
            slides = _slides(package)
            outline = write(_blocks(package, slides, reading), reading)
            return Extracted(pages=len(slides), document=said(package), outline=outline)


def _slides(package: Package) -> list[str]:
    """The names of the slides' parts, as they follow one another."""
    main = package.related("", "officeDocument") or "ppt/presentation.xml"
    root = package.tree(main)
    if root is None:
        raise Failed("malformed", "no presentation")
    relations = package.relations(main)
    listed = child(root, "sldIdLst")
    targets = [relations.get(_relation(slide), ("", ""))[1] for slide in (listed if listed is not None else ())]
    return [target for target in targets if target in package]


def _relation(element: Element) -> str:
    """Its r:id; a slide has an id without a namespace as well."""
    return next((text for key, text in element.items() if key.endswith("}id")), "")


def _blocks(package: Package, slides: list[str], reading: Reading) -> Iterator[Block]:
    for count, name in enumerate(slides, 1):
        slide = _Slide(package, name)
        yield Page(slide.title)
        yield from slide.blocks
        reading.progress(count, len(slides), "pages")


class _Slide:
    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._relations = package.relations(name)
        self.title = ""
        self.blocks: list[Block] = []
        self._add_shapes(child(package.tree(name), "cSld", "spTree"))
        notes = package.related(name, "notesSlide")
        if notes is not None:
            before = len(self.blocks)
            self._add_shapes(child(package.tree(notes), "cSld", "spTree"), are_notes=True)
            if len(self.blocks) > before:
                self.blocks.insert(before, Paragraph(plain("Notes:")))

    def _add_shapes(self, tree: Element | None, *, are_notes: bool = False) -> None:
        for shape in tree if tree is not None else ():
            match local(shape):
                case "sp":
                    self._add_shape(shape, are_notes=are_notes)
                case "grpSp" | "AlternateContent" | "Choice":
                    self._add_shapes(shape, are_notes=are_notes)
                case "graphicFrame":
                    self._add_graphic(shape)
                case "pic":
                    properties = child(shape, "nvPicPr", "cNvPr")
                    if properties is not None and (description := line(properties.get("descr", ""))):
                        self.blocks.append(Paragraph(plain(f"[{description}]")))

    def _add_shape(self, shape: Element, *, are_notes: bool) -> None:
        placeholder = child(shape, "nvSpPr", "nvPr", "ph")
        kind = placeholder.get("type", "obj") if placeholder is not None else ""
        body = child(shape, "txBody")
        if body is None or kind in _UNSAID or (are_notes and kind != "body"):
            return
        if kind in _TITLES and not self.title:
            self.title = line(" ".join(words(spans) for _, _, spans in self._paragraphs(body)))
            self.blocks.insert(0, Heading(1, plain(self.title)))
            return
        is_list = kind in {"body", "obj"} and not are_notes
        for depth, bulleted, spans in self._paragraphs(body):
            if spans:
                self.blocks.append(Item(depth, spans) if bulleted or (bulleted is None and is_list) else Paragraph(spans))

    def _paragraphs(self, body: Element) -> Iterator[tuple[int, bool | None, Spans]]:
        """Depth; whether it has a bullet, None where the slide's layout decides; what it says."""
        for paragraph in body:
            if local(paragraph) != "p":
                continue
            properties = child(paragraph, "pPr")
            kinds = {local(found) for found in properties} if properties is not None else set()
            bulleted = False if "buNone" in kinds else True if kinds & {"buChar", "buAutoNum", "buBlip"} else None
            depth = number(properties.get("lvl")) if properties is not None else 0
            yield min(8, max(0, depth)), bulleted, tidy(list(self._spans(paragraph)))

    def _spans(self, paragraph: Element) -> Iterator[Span]:
        for part in paragraph:
            match local(part):
                case "r" | "fld":
                    manner = child(part, "rPr")
                    click = child(manner, "hlinkClick")
                    _, link = self._relations.get(_relation(click), ("", "")) if click is not None else ("", "")
                    text = child(part, "t")
                    yield Span(
                        (text.text if text is not None else "") or "", bold=_is_on(manner, "b"), italic=_is_on(manner, "i"), link=link if ":" in link else ""
                    )
                case "br":
                    yield Span("\n")

    def _add_graphic(self, frame: Element) -> None:
        for found in frame.iter():
            if local(found) == "tbl":
                rows = [tuple(self._cell(cell) for cell in row if local(cell) == "tc") for row in found if local(row) == "tr"]
                if any(any(row) for row in rows):
                    self.blocks.append(Table(tuple(rows)))
            elif local(found) == "chart":
                self.blocks += chart(self._package.tree(self._relations.get(_relation(found), ("", ""))[1]))

    def _cell(self, cell: Element) -> str:
        body = child(cell, "txBody")
        return line(" ".join(words(spans) for _, _, spans in self._paragraphs(body))) if body is not None else ""


def _is_on(properties: Element | None, name: str) -> bool:
    found = attribute(properties, name) if properties is not None else None
    return found is not None and found not in _OFF
