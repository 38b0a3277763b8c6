"""Web pages: the text that the page is for, without what stands around it."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Reading
from worker.processors.blocks import Block, Heading, Item, Paragraph
from worker.processors.encoding import decode
from worker.processors.hypertext import Placed, read_hypertext
from worker.processors.rendering import write

_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]{2,40})|<\?xml[^>]{0,100}encoding=["']([a-zA-Z0-9_.-]{2,40})""")
_PROLOGUE_BYTES: Final = 4096
_LIMIT_CHARACTERS: Final = 20 * 1024 * 1024
"""Of markup; what is beyond is left out (warning `truncated`)."""

_LINKS_CHARACTERS: Final = 16 * 1024
"""Of all links together: details are kept small."""

_ENOUGH_CHARACTERS: Final = 200
_ENOUGH_SHARE: Final = 0.5
"""Of a short page."""
_LEAST_SHARE: Final = 0.05
_CENTRAL_SHARE: Final = 0.25
_LINKS_SHARE: Final = 0.6
"""Of a block's characters: more is a menu, where nothing says what the page's text is."""
_MENU_SHARE: Final = 0.9
_MENU_ITEMS: Final = 20


class WebpageProcessor(BuiltIn):
    name = "webpage"
    media_types: tuple[str, ...] = (media.HTML,)

    def process(self, reading: Reading) -> Extracted:
        with reading.path.open("rb") as file:
            head = file.read(_PROLOGUE_BYTES)
        decoded = decode(reading.path, limit=_LIMIT_CHARACTERS, declared=_declared(head))
        reading.progress(1, 2, "steps")
        page = read_hypertext(decoded.text)
        decoded.warn(reading)
        blocks = [placed.block for placed in main_text(page.blocks)]
        outline = write(blocks, reading)
        said = page.said | ({"title": page.title} if page.title else {})
        return Extracted(
            encoding=decoded.encoding, language=page.language, truncated=decoded.truncated, document=said, outline=outline, details={"links": _links(blocks)}
        )


def main_text(blocks: list[Placed]) -> list[Placed]:
    """What is left without navigation, asides and footers; all of it, when that would be next to nothing."""
    inside = [placed for placed in blocks if not placed.is_marginal]
    if _characters(inside) < _LEAST_SHARE * _characters(blocks):
        return blocks
    central = [placed for placed in inside if placed.is_central]
    if central and _characters(central) >= _CENTRAL_SHARE * _characters(inside):
        return _without_menus(central)
    text = [placed for placed in inside if placed.linked <= _LINKS_SHARE * placed.characters]
    return text if _characters(text) >= min(_ENOUGH_CHARACTERS, _ENOUGH_SHARE * _characters(inside)) else inside


def _without_menus(blocks: list[Placed]) -> list[Placed]:
    """Long runs of items that are links and nothing else are for going elsewhere, also within a page's text."""
    kept: list[Placed] = []
    for is_menu, run in groupby(blocks, lambda placed: isinstance(placed.block, Item) and placed.linked > _MENU_SHARE * placed.characters):
        found = list(run)
        if not is_menu or len(found) < _MENU_ITEMS:
            kept += found
    return kept


def _links(blocks: list[Block]) -> list[str]:
    """Where the text leads, in order, each once."""
    found: dict[str, None] = {}
    room = _LINKS_CHARACTERS
    for block in blocks:
        for span in block.spans if isinstance(block, Heading | Paragraph | Item) else ():
            if span.link and span.link not in found and room >= len(span.link):
                found[span.link] = None
                room -= len(span.link)
    return list(found)


def _characters(blocks: list[Placed]) -> int:
    return sum(placed.characters for placed in blocks)


def _declared(head: bytes) -> str | None:
    found = _CHARSET.search(head)
    return (found[1] or found[2]).decode("ascii") if found else None
