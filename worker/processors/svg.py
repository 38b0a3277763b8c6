"""Drawings: their size, title and text. They are never drawn here, and nothing that they refer to is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from xml.parsers import expat

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import line
from worker.processors.markup import refuse_nested_entities

_CHUNK_BYTES: Final = 64 * 1024
_TEXTS: Final = {"title", "desc", "text"}
_UNSAID: Final = {"style", "script", "metadata"}
_LENGTH: Final = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{0,9})?)(?:e0)?\s*(px|pt|pc|mm|cm|in|)\s*")
_PIXELS: Final = {"px": 1.0, "": 1.0, "pt": 96 / 72, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_AMPLIFIED: Final = 43
"""expat's code for entities that grow too much: XML_ERROR_AMPLIFICATION_LIMIT_BREACH."""
_SAID_LIMIT_CHARACTERS: Final = 1000


class SvgProcessor(BuiltIn):
    name = "svg"
    media_types: tuple[str, ...] = (media.SVG,)

    def process(self, reading: Reading) -> Extracted:
        drawing = _Drawing(reading)
        with reading.path.open("rb") as file:
            refuse_nested_entities(file.read(_CHUNK_BYTES))
            file.seek(0)
            drawing.read(iter(lambda: file.read(_CHUNK_BYTES), b""))
        if not drawing.has_text:
            reading.warn("no_text", "The drawing has no text")
        if drawing.is_active:
            reading.warn("active_content", "The drawing has a script")
        return Extracted(width=drawing.width, height=drawing.height, document=drawing.said)


class _Drawing:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._open: list[str] = []
        self._text: list[str] = []
        self.width: int | None = None
        self.height: int | None = None
        self.said: dict[str, str] = {}
        self.has_text = self.is_active = False

    def read(self, pieces: Iterable[bytes]) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            for piece in pieces:
                parser.Parse(piece, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Failed("bomb" if error.code == _AMPLIFIED else "malformed", str(error)) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if not self._open:
            self.width, self.height = _size(attributes)
        self.is_active = self.is_active or tag == "script" or any(attribute.startswith("on") for attribute in attributes)
        if tag in _TEXTS and not self._is_within(_TEXTS):
            self._text.clear()
        self._open.append(tag)

    def _end(self, _name: str) -> None:
        tag = self._open.pop()
        if tag not in _TEXTS or self._is_within(_TEXTS):
            return
        text = line("".join(self._text))
        if not text:
            return
        if tag == "title" and len(self._open) == 1:
            self.said.setdefault("title", text[:_SAID_LIMIT_CHARACTERS])
        self._reading.write_text(f"\n{text}" if self.has_text else text)
        self.has_text = True

    def _characters(self, text: str) -> None:
        if self._is_within(_TEXTS) and not self._is_within(_UNSAID):
            self._text.append(text)

    def _is_within(self, tags: set[str]) -> bool:
        return any(tag in tags for tag in self._open[-8:])


def _size(attributes: dict[str, str]) -> tuple[int | None, int | None]:
    """Pixels, as a browser has them: by width and height, or by the box that the drawing is made in."""
    width, height = _pixels(attributes.get("width", "")), _pixels(attributes.get("height", ""))
    box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
    if len(box) == 4:
        width, height = width or _pixels(box[2]), height or _pixels(box[3])
    return width, height


def _pixels(length: str) -> int | None:
    found = _LENGTH.fullmatch(length)
    return (round(float(found[1]) * _PIXELS[found[2]]) or None) if found else None
