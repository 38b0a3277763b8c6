"""Books: chapter by chapter in reading order, each read as the web page that it is."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import Block, Page, line
from worker.processors.hypertext import read_hypertext
from worker.processors.package import Element, Package, attribute, child, local
from worker.processors.rendering import write

_CONTAINER: Final = "META-INF/container.xml"
_SAYS: Final = {"title": "title", "creator": "author", "subject": "subject", "description": "description", "publisher": "publisher", "date": "created_at"}
_SAID_LIMIT_CHARACTERS: Final = 1000
_TEXTS: Final = {"application/xhtml+xml", "text/html"}
_FONTS: Final = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
"""Disguised fonts are no encryption of the text."""


class EpubProcessor(BuiltIn):
    name = "epub"
    media_types: tuple[str, ...] = (media.EPUB,)

    def process(self, reading: Reading) -> Extracted:
        with Package(reading.path) as package:
            if _is_encrypted(package):
                raise Failed("encrypted")
            root = child(package.tree(_CONTAINER), "rootfiles", "rootfile")
            name = root.get("full-path", "") if root is not None else ""
            book = package.tree(name)
            if book is None:
                raise Failed("malformed", "no package document")
            said = _said(child(book, "metadata"))
            language = said.pop("language", None)
            chapters = list(_chapters(package, book, posixpath.dirname(name)))
            outline = write(_blocks(package, chapters, reading), reading)
            return Extracted(document=said, language=language, outline=outline, details={"chapters": len(chapters)})


def _chapters(package: Package, book: Element, folder: str) -> Iterator[str]:
    manifest, spine = child(book, "manifest"), child(book, "spine")
    items = {item.get("id"): item for item in (manifest if manifest is not None else ())}
    for reference in spine if spine is not None else ():
        item = items.get(reference.get("idref"))
        if item is not None and item.get("media-type") in _TEXTS and (name := package.resolved(folder, item.get("href", ""))) in package:
            yield name


def _blocks(package: Package, chapters: list[str], reading: Reading) -> Iterator[Block]:
    for count, name in enumerate(chapters, 1):
        chapter = read_hypertext(_decoded(package.read(name)))
        yield Page(chapter.title)
        for placed in chapter.blocks:
            yield placed.block
        reading.progress(count, len(chapters), "chapters")


def _decoded(content: bytes) -> str:
    """EPUB knows UTF-8 and UTF-16."""
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if is_wide else "utf-8-sig", "replace")


def _said(metadata: Element | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in metadata if metadata is not None else ():
        name, text = local(element), line(element.text or "")[:_SAID_LIMIT_CHARACTERS]
        key = "language" if name == "language" else _SAYS.get(name)
        if text and key:
            found.setdefault(key, text)
    return found


def _is_encrypted(package: Package) -> bool:
    root = package.tree("META-INF/encryption.xml")
    methods = [attribute(found, "Algorithm") for found in root.iter() if local(found) == "EncryptionMethod"] if root is not None else []
    return any(method not in _FONTS for method in methods)
