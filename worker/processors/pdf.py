"""PDF by PDFium: text page by page, page count, outline, what the document says of itself, and a picture of its first page."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pypdfium2
from pypdfium2 import raw

from app.domain import media
from worker.processors import picture
from worker.processors.base import BuiltIn, Extracted, Failed, Heading, Reading, Thumbnail
from worker.processors.ocr import DOTS_PER_INCH, PIXELS, Ocr

# They have no annotations.
_pdfium: Any = pypdfium2
_raw: Any = raw
_Document = Any

_SAID_LIMIT_CHARACTERS: Final = 1000
_OUTLINE_DEPTH: Final = 15
_OUTLINE_ENTRIES: Final = 1000
_ATTACHMENTS: Final = 100
_LANGUAGE_CHARACTERS: Final = 64
_SEARCHED_BYTES: Final = 8 * 1024 * 1024
_ACTION: Final = re.compile(rb"/(?:JavaScript|JS|Launch)\b")
_SAYS: Final = {"title": "Title", "author": "Author", "subject": "Subject", "creator": "Creator", "producer": "Producer"}
_DATES: Final = {"created_at": "CreationDate", "modified_at": "ModDate"}
_UNITS: Final = 16 * 1024
"""Of UTF-16: more than nearly all pages have."""
_DATE: Final = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?", re.ASCII)

# PDFium marks a hyphen at a line's end, where it joins the word, by U+0002 or U+FFFE. The other control characters are glyphs
# without a meaning, often the space of a subset font. A form feed is ours: it separates pages.
_CLEAN: Final = dict.fromkeys(range(32), " ") | {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): None, 0x02: None, 0xFFFE: None, 0xFFFF: None}


class PdfProcessor(BuiltIn):
    name = "pdf"
    media_types: tuple[str, ...] = (media.PDF,)

    def process(self, reading: Reading) -> Extracted:
        with _open(reading.path) as document:
            pages = len(document)
            if not pages:
                raise Failed("malformed", "no pages")
            ocr = Ocr(reading)
            _read(document, pages, reading, ocr)
            _warn(document, reading)
            attachments = _attachments(document)
            return Extracted(
                pages=pages,
                language=_language(document),
                document=_said(document),
                outline=_outline(document),
                details=({"attachments": attachments} if attachments else {}) | ocr.report(),
            )

    def thumbnail(self, reading: Reading) -> Thumbnail | None:
        with _open(reading.path) as document:
            if not len(document):
                return None
            _flatten(document, 0)
            with closing(document.get_page(0)) as page:
                scale = reading.limits.thumbnail_pixels / max(1.0, *page.get_size())
                with closing(page.render(scale=scale, rev_byteorder=True)) as bitmap:
                    return picture.draw(bitmap.to_pil(), reading)


def _open(path: Path) -> _Document:
    # By the raw call: the wrapper's constructor leaks a document without pages, with its file, and then reports the error code of
    # whatever failed before it.
    handle = _raw.FPDF_LoadDocument(os.fsencode(path) + b"\0", None)
    if handle:
        return _pdfium.PdfDocument(handle)
    code = _raw.FPDF_GetLastError()
    if code == _raw.FPDF_ERR_FILE:
        raise FileNotFoundError(path)
    encrypted = code in {_raw.FPDF_ERR_PASSWORD, _raw.FPDF_ERR_SECURITY}
    raise Failed("encrypted" if encrypted else "malformed", f"PDFium error {code}")


def _read(document: _Document, pages: int, reading: Reading, ocr: Ocr) -> None:
    broken, silent = 0, True
    for index in range(pages):
        try:
            page = _page(document, index)
        except _pdfium.PdfiumError:
            page, broken = "", broken + 1
        if page.strip():
            silent = False
        elif ocr.has_room:
            page = _recognised(document, index, ocr)
        goes_on = reading.write_page(page)
        reading.progress(index + 1, pages, "pages")
        if not goes_on:
            break
    if broken == pages:
        raise Failed("malformed", "no page can be read")
    if broken:
        reading.warn("malformed", f"{broken} of {pages} pages cannot be read")
    if silent:
        reading.warn("no_text", "No page has text: scanned, or drawn" + ("" if ocr.is_there else ". There is no OCR here"))


def _recognised(document: _Document, index: int, ocr: Ocr) -> str:
    try:
        with closing(document.get_page(index)) as page:
            width, height = page.get_size()
            scale = min(DOTS_PER_INCH / 72, (PIXELS / max(1.0, width * height)) ** 0.5)
            with closing(page.render(scale=scale, grayscale=True)) as bitmap:
                return ocr.read(bitmap.to_pil())
    except _pdfium.PdfiumError:
        return ""


def _flatten(document: _Document, index: int) -> None:
    """What is filled into a form is drawn over the page. Here it becomes a part of it, in memory."""
    if document.get_formtype() != _raw.FORMTYPE_NONE:
        with closing(document.get_page(index)) as page:
            _raw.FPDFPage_Flatten(page, _raw.FLAT_NORMALDISPLAY)


def _page(document: _Document, index: int) -> str:
    _flatten(document, index)
    with closing(document.get_page(index)) as page, closing(page.get_textpage()) as textpage:
        return _text(page, textpage).translate(_CLEAN)


def _text(page: Any, textpage: Any) -> str:
    """What `get_text_bounded` gives. That asks PDFium twice, for the length first: a tenth of a page's time."""
    left, bottom, right, top = page.get_bbox()
    buffer = (ctypes.c_uint16 * _UNITS)()
    units = _raw.FPDFText_GetBoundedText(textpage, left, top, right, bottom, buffer, _UNITS)
    if units >= _UNITS:
        whole: str = textpage.get_text_bounded()
        return whole
    return bytes(memoryview(buffer)[: max(0, units - 1)]).decode("utf-16-le", "ignore")  # the last one is a NUL


def _outline(document: _Document) -> list[Heading]:
    found: list[Heading] = []
    try:
        for bookmark in document.get_toc(max_depth=_OUTLINE_DEPTH):
            if len(found) == _OUTLINE_ENTRIES:
                break
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            title = bookmark.get_title()[:_SAID_LIMIT_CHARACTERS].translate(_CLEAN).strip()
            found.append(Heading(title, bookmark.level + 1, None if page is None else page + 1))
    except (_pdfium.PdfiumError, UnicodeDecodeError):
        return found  # as far as it could be read
    return found


def _attachments(document: _Document) -> list[str]:
    names = []
    for index in range(min(document.count_attachments(), _ATTACHMENTS)):
        try:
            names.append(document.get_attachment(index).get_name()[:_SAID_LIMIT_CHARACTERS].translate(_CLEAN))
        except (_pdfium.PdfiumError, UnicodeDecodeError):
            continue
    return names


def _language(document: _Document) -> str | None:
    size = _raw.FPDFCatalog_GetLanguage(document, None, 0)
    if not 2 < size <= 2 * _LANGUAGE_CHARACTERS:
        return None
    buffer = (ctypes.c_ushort * (size // 2))()
    _raw.FPDFCatalog_GetLanguage(document, buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0").strip() or None


def _warn(document: _Document, reading: Reading) -> None:
    """Of what is in it beside text."""
    if _raw.FPDF_GetSecurityHandlerRevision(document) >= 0:
        reading.warn("encrypted", "It is encrypted, though it opens without a password")
    if _raw.FPDFDoc_GetJavaScriptActionCount(document) > 0 or _mentions_action(reading.path):
        reading.warn("active_content", "It has a script, or starts a program")


def _mentions_action(path: Path) -> bool:
    """In plain sight, and near the beginning or the end: what is compressed is not looked into."""
    with path.open("rb") as file:
        head = file.read(_SEARCHED_BYTES)
        file.seek(max(len(head), path.stat().st_size - _SEARCHED_BYTES))
        return bool(_ACTION.search(head) or _ACTION.search(file.read(_SEARCHED_BYTES)))


def _said(document: _Document) -> dict[str, str]:
    said = {name: _value(document, key) for name, key in _SAYS.items()} | {name: _iso(_value(document, key)) for name, key in _DATES.items()}
    return {name: value for name, value in said.items() if value}


def _value(document: _Document, key: str) -> str:
    try:
        value: str = document.get_metadata_value(key)
    except UnicodeDecodeError:  # lone surrogates
        return ""
    return value[:_SAID_LIMIT_CHARACTERS].translate(_CLEAN).strip()


def _iso(date: str) -> str:
    """ISO 8601, without an offset when the document gives none; empty when it cannot be parsed."""
    found = _DATE.match(date)
    if not found:
        return ""
    year, month, day, hour, minute, second, utc, sign, hours, minutes = found.groups()
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset) if utc or sign else None
        moment = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError:
        return ""
    return moment.isoformat()
