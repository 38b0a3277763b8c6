"""Media types: the names that we use, which of them are text, and what a file name suggests."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

UNKNOWN: Final = "application/octet-stream"
PLAIN: Final = "text/plain"
HTML: Final = "text/html"
MARKDOWN: Final = "text/markdown"
CSV: Final = "text/csv"
JSON: Final = "application/json"
XML: Final = "application/xml"
SVG: Final = "image/svg+xml"
PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT: Final = "application/vnd.oasis.opendocument.text"
ODP: Final = "application/vnd.oasis.opendocument.presentation"
ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"
EPUB: Final = "application/epub+zip"
DOC: Final = "application/msword"
PPT: Final = "application/vnd.ms-powerpoint"
XLS: Final = "application/vnd.ms-excel"
OLE: Final = "application/x-ole-storage"
ENCRYPTED: Final = "application/encrypted"
"""An office document under a password: nothing can be read from it."""
RTF: Final = "application/rtf"
ZIP: Final = "application/zip"
HEIC: Final = "image/heic"
HEIF: Final = "image/heif"

TEXTUAL: Final = ("text/*", JSON, XML)
"""Patterns (fnmatch) of what is text in some encoding, to be read as it stands."""

_EXTENSIONS: Final = {
    "txt": PLAIN, "html": HTML, "htm": HTML, "xhtml": HTML, "md": MARKDOWN, "markdown": MARKDOWN, "csv": CSV, "json": JSON, "xml": XML, "svg": SVG,
    "pdf": PDF, "docx": DOCX, "pptx": PPTX, "xlsx": XLSX, "odt": ODT, "odp": ODP, "ods": ODS, "epub": EPUB, "doc": DOC, "ppt": PPT, "xls": XLS, "rtf": RTF,
    "zip": ZIP, "heic": HEIC, "heif": HEIF, "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp", "avif": "image/avif", "mp3": "audio/mpeg", "mp2": "audio/mpeg",
    "aac": "audio/aac", "ac3": "audio/ac3", "wav": "audio/wav", "mp4": "video/mp4",
    "m4a": "audio/mp4", "m4v": "video/x-m4v", "mov": "video/quicktime", "webm": "video/webm", "mkv": "video/x-matroska", "avi": "video/x-msvideo",
    "ogg": "audio/ogg", "flac": "audio/flac", "tsv": CSV, "gz": "application/gzip", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar",
    "tar": "application/x-tar",
}  # fmt: skip


def is_text(media_type: str) -> bool:
    return any(fnmatchcase(media_type, pattern) for pattern in TEXTUAL)


def suggested(filename: str) -> str | None:
    """What the extension claims; None when it says nothing. For comparing with what was found, never to be believed."""
    return _EXTENSIONS.get(filename.rpartition(".")[2].lower())
