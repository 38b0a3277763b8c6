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
from app.domain.errors import ProcessingFailed
from app.domain.results import Warned
from worker.processors.base import TEXT_LIMIT_CHARACTERS, Extracted, Progress

# They have no annotations.
_pdfium: Any = pypdfium2
_raw: Any = raw
_Document = Any

PAGES_LIMIT: Final = 5000
"""Pages beyond are counted, but not read (warning `truncated`)."""
PAGE_BREAK: Final = "\f"

_SAID_LIMIT_CHARACTERS: Final = 1000
_SAYS: Final = {"title": "Title", "author": "Author", "subject": "Subject", "creator": "Creator", "producer": "Producer"}
_DATES: Final = {"created_at": "CreationDate", "modified_at": "ModDate"}
_DATE: Final = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?", re.ASCII)

# PDFium marks a hyphen at a line's end, where it joins the word, by U+0002 or U+FFFE. The other control characters are glyphs
# without a meaning, often the space of a subset font. A form feed is ours: it separates pages.
_CLEAN: Final = dict.fromkeys(range(32), " ") | {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): None, 0x02: None, 0xFFFE: None, 0xFFFF: None}


class PdfProcessor:
    name = "pdf"
    media_types: tuple[str, ...] = (media.PDF,)

    def extract(self, path: Path, media_type: str, progress: Progress) -> Extracted:  # noqa: ARG002 - the interface's; there is one PDF
        with _open(path) as document:
            pages = len(document)
            if not pages:
                raise ProcessingFailed("malformed", "no pages")
            text, warnings = _text(document, pages, progress)
            truncated = any(warning.code == "truncated" for warning in warnings)
            return Extracted(text=text, pages=pages, truncated=truncated, document=_said(document), warnings=warnings)


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
    raise ProcessingFailed("encrypted" if encrypted else "malformed", f"PDFium error {code}")


def _text(document: _Document, pages: int, progress: Progress) -> tuple[str, list[Warned]]:
    kept: list[str] = []
    length, broken = 0, 0
    for index in range(min(pages, PAGES_LIMIT)):
        try:
            page = _page(document, index)
        except _pdfium.PdfiumError:
            page, broken = "", broken + 1
        kept.append(page)
        length += len(page) + len(PAGE_BREAK)
        progress(100 * (index + 1) // pages)
        if length > TEXT_LIMIT_CHARACTERS:
            break
    if broken == pages:
        raise ProcessingFailed("malformed", "no page can be read")
    text = PAGE_BREAK.join(kept)
    warnings = []
    if len(kept) < pages or len(text) > TEXT_LIMIT_CHARACTERS:
        text = text[:TEXT_LIMIT_CHARACTERS]
        warnings.append(Warned(code="truncated", message=f"Only the first {len(text)} characters, of {len(kept)} pages, were kept"))
    if broken:
        warnings.append(Warned(code="malformed", message=f"{broken} of {pages} pages cannot be read"))
    if not text.strip():
        warnings.append(Warned(code="no_text", message="No page has text: scanned, or drawn"))
    return text, warnings


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
