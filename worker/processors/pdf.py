"""PDF by PDFium: text page by page, page count, and what the document says of itself."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pypdfium2
from pypdfium2 import raw

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading

# They have no annotations.
_pdfium: Any = pypdfium2
_raw: Any = raw
_Document = Any

_SAID_LIMIT_CHARACTERS: Final = 1000
_SAYS: Final = {"title": "Title", "author": "Author", "subject": "Subject", "creator": "Creator", "producer": "Producer"}
_DATES: Final = {"created_at": "CreationDate", "modified_at": "ModDate"}
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
            _read(document, pages, reading)
            return Extracted(pages=pages, document=_said(document))


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


def _read(document: _Document, pages: int, reading: Reading) -> None:
    broken, silent = 0, True
    for index in range(pages):
        try:
            page = _page(document, index)
        except _pdfium.PdfiumError:
            page, broken = "", broken + 1
        silent = silent and not page.strip()
        goes_on = reading.write_page(page)
        reading.progress(index + 1, pages, "pages")
        if not goes_on:
            break
    if broken == pages:
        raise Failed("malformed", "no page can be read")
    if broken:
        reading.warn("malformed", f"{broken} of {pages} pages cannot be read")
    if silent:
        reading.warn("no_text", "No page has text: scanned, or drawn")


def _page(document: _Document, index: int) -> str:
    with closing(document.get_page(index)) as page, closing(page.get_textpage()) as textpage:
        text: str = textpage.get_text_bounded()
    return text.translate(_CLEAN)


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
