"""What Word's styles say of a paragraph: is it a heading, does it stand in a list, is that list numbered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.processors.package import Element, attribute, child, local, number

_HEADING: Final = re.compile(r"heading (\d)")
_TITLE: Final = "title"


@dataclass(frozen=True, slots=True)
class _Style:
    level: int | None
    numbering: tuple[str, int] | None
    based_on: str


class WordStyles:
    """Either part may be absent."""

    def __init__(self, styles: Element | None, numbering: Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        self._numbered: dict[tuple[str, int], bool] = {}
        self.language: str | None = None
        if styles is not None:
            found = child(styles, "docDefaults", "rPrDefault", "rPr", "lang")
            self.language = attribute(found, "val") if found is not None else None
            for style in styles:
                if local(style) == "style":
                    self._styles[attribute(style, "styleId") or ""] = _style(style)
        if numbering is not None:
            self._read_numbering(numbering)

    def level(self, style: str) -> int | None:
        """The outline's level, from 0, which the style or one that it is based on gives."""
        return next((found.level for found in self._line(style) if found.level is not None), None)

    def numbering(self, style: str) -> tuple[str, int]:
        """The list and the depth in it; an empty name for none."""
        return next((found.numbering for found in self._line(style) if found.numbering is not None), ("", 0))

    def is_numbered(self, name: str, depth: int) -> bool:
        return self._numbered.get((name, depth), False)

    def _line(self, style: str) -> Iterator[_Style]:
        seen: set[str] = set()
        while style in self._styles and style not in seen:
            seen.add(style)
            yield self._styles[style]
            style = self._styles[style].based_on

    def _read_numbering(self, numbering: Element) -> None:
        kinds: dict[str, dict[int, bool]] = {}
        for element in numbering:
            match local(element):
                case "abstractNum":
                    levels = {number(attribute(level, "ilvl")): _is_counted(level) for level in element if local(level) == "lvl"}
                    kinds[attribute(element, "abstractNumId") or ""] = levels
                case "num":
                    name = attribute(element, "numId") or ""
                    for depth, counted in kinds.get(_value(child(element, "abstractNumId")), {}).items():
                        self._numbered[name, depth] = counted


def _style(style: Element) -> _Style:
    name = _value(child(style, "name")).lower()
    outline = child(style, "pPr", "outlineLvl")
    listed = child(style, "pPr", "numPr")
    if outline is not None:
        level: int | None = number(_value(outline))
    elif found := _HEADING.fullmatch(name):
        level = int(found[1]) - 1
    else:
        level = 0 if name == _TITLE else None
    numbering = (_value(child(listed, "numId")), number(_value(child(listed, "ilvl")))) if listed is not None else None
    return _Style(level, numbering, _value(child(style, "basedOn")))


def _is_counted(level: Element) -> bool:
    return _value(child(level, "numFmt")) not in {"bullet", "none", ""}


def _value(element: Element | None) -> str:
    return attribute(element, "val") or "" if element is not None else ""
