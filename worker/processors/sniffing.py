"""What a file is, by its bytes.

Our own rules come first, so that a document has the same type on every machine; libmagic, where the system has it, knows the long
tail of other formats, and is not believed where it goes by a byte or two. The client's word for the type is not asked. An extension only
chooses among kinds of text that the bytes allow, and tells a damaged recording from noise.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from app.domain import media
from worker.processors.containers import OLE_MAGIC, box_type, ole_type, zip_type
from worker.processors.encoding import marked, unmarked_utf16
from worker.processors.frames import sound

libmagic: Any = None
with suppress(ImportError):  # so python-magic says that the system has no libmagic
    import magic

    libmagic = magic

HEAD_BYTES: Final = 64 * 1024

_SIGNATURES: Final = [
    (re.compile(pattern, re.DOTALL), media_type)
    for pattern, media_type in (
        (rb"(\xef\xbb\xbf)?[\0\t\n\f\r ]*%PDF-", media.PDF),
        (rb"\{\\rtf", media.RTF),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"II\*\0|MM\0\*", "image/tiff"),
        (rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", "image/bmp"),
        (rb"8BPS\0", "image/vnd.adobe.photoshop"),
        (rb"ID3[\x02-\x04]", "audio/mpeg"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"fLaC\0", "audio/flac"),
        (rb"OggS\0", "audio/ogg"),
        (rb"RIFF....AVI ", "video/x-msvideo"),
        (rb"\x1a\x45\xdf\xa3.{0,64}webm", "video/webm"),
        (rb"\x1a\x45\xdf\xa3", "video/x-matroska"),
        (rb"\x1f\x8b\x08", "application/gzip"),
        (rb"BZh[1-9]1AY&SY", "application/x-bzip2"),
        (rb"\xfd7zXZ\0", "application/x-xz"),
        (rb"\x28\xb5\x2f\xfd", "application/zstd"),
        (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (rb"Rar!\x1a\x07", "application/vnd.rar"),
        (rb".{257}ustar", "application/x-tar"),
        (rb"%!PS-", "application/postscript"),
    )
]
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
# As libmagic has it; the DOS end of file may stand last.
_NOT_TEXT: Final = re.compile(r"[\0-\x06\x0e-\x19\x1c-\x1f\x7f]|\x1a.", re.DOTALL)
_PROLOGUE: Final = re.compile(r"\ufeff?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_ROOT: Final = re.compile(r"<(?:!doctype\s+)?(?:[a-z][\w.-]*:)?([a-z][\w.-]*)", re.IGNORECASE)
# How a frame of sound begins: too little to know a recording by, and enough under a name that claims one, so that a damaged one is known for it.
_MARKS: Final = {
    "audio/mpeg": re.compile(rb"\xff[\xe2-\xff]"),
    "audio/aac": re.compile(rb"\xff[\xf0-\xff]|\x56[\xe0-\xff]"),
    "audio/ac3": re.compile(rb"\x0b\x77"),
}
_LIBMAGIC_GUESSES: Final = {"audio/mpeg", "audio/x-mp4a-latm", "audio/x-hx-aac-adts", "audio/vnd.dolby.dd-raw", "audio/x-syx"}
_HTML_ELEMENT: Final = re.compile(r"(a|b|body|br|div|font|h[1-6]|head|iframe|link|meta|p|script|span|style|table|title)$")
# How text of a kind begins; an extension is not believed against it.
_BEGINS: Final = {media.JSON: re.compile(r"[\[{\"0-9tfn-]"), media.XML: re.compile("<"), media.SVG: re.compile("<"), media.HTML: re.compile("<")}
_REFINABLE: Final = {media.PLAIN, media.MARKDOWN, media.CSV, media.JSON, media.XML, media.SVG, media.HTML}


def sniff(path: Path, filename: str) -> str:
    """The media type; `application/octet-stream` when unknown. Reads at most 1.2 MiB, of which most only from a ZIP."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(_ZIP):
            return zip_type(file, head)
        if head.startswith(OLE_MAGIC):
            return ole_type(file, head)
    if found := box_type(head) or _by_signature(head) or sound(head):
        return found
    text = head.decode(marked(head) or unmarked_utf16(head) or "latin-1", "ignore")  # good enough to see tags in
    if not _NOT_TEXT.search(text):
        return _kind_of_text(text, filename)
    if b"%PDF-" in head[:1024]:  # readers allow so much junk before it
        return media.PDF
    return _claimed_sound(head, filename) or _by_libmagic(head)


def _by_signature(head: bytes) -> str | None:
    return next((media_type for signature, media_type in _SIGNATURES if signature.match(head)), None)


def _claimed_sound(head: bytes, filename: str) -> str | None:
    claimed = media.suggested(filename)
    return claimed if claimed in _MARKS and _MARKS[claimed].match(head) else None


def _by_libmagic(head: bytes) -> str:
    if libmagic is None:
        return media.UNKNOWN
    try:
        found: str = libmagic.from_buffer(head, mime=True)
    except libmagic.MagicException:
        return media.UNKNOWN
    # It has other views of what is text, and names of its own for nothing.
    return media.UNKNOWN if found.startswith(("text/", "inode/")) or media.is_text(found) or "/" not in found or _by_chance(found, head) else found


def _by_chance(found: str, head: bytes) -> bool:
    """Whether libmagic has it from a byte or two, as it has something to say of one file in a hundred that is nothing but noise."""
    return found in _LIBMAGIC_GUESSES or (found == "application/x-dosexec" and not head.startswith(b"MZ"))


def _kind_of_text(text: str, filename: str) -> str:
    body = _PROLOGUE.sub("", text, count=1)
    root = _ROOT.match(body)
    element = root[1].lower() if root else ""
    if element in {"html", "svg"}:
        return media.HTML if element == "html" else media.SVG
    if text.removeprefix("\ufeff").startswith("<?xml"):
        return media.XML
    if _is_json(body):
        return media.JSON
    claimed = media.suggested(filename)
    if claimed in _REFINABLE and (claimed not in _BEGINS or _BEGINS[claimed].match(body)):
        return claimed
    return media.HTML if _HTML_ELEMENT.match(element) else media.PLAIN


def _is_json(text: str) -> bool:
    """Whether it is a whole JSON object or array."""
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
