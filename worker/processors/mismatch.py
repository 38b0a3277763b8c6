"""What a file was said to be, by its name and by its client, against what it is."""

from __future__ import annotations

from typing import Final

from app.domain import media
from app.domain.results import Warned

_SAME: Final = (
    {media.HEIC, media.HEIF, "image/heic-sequence", "image/heif-sequence"},
    {"video/mp4", "audio/mp4", "video/quicktime", "video/x-m4v", "audio/x-m4a", "audio/m4a", "audio/aac"},
    {"audio/aac", "audio/x-aac", "audio/aacp", "audio/x-mp4a-latm"},
    {"audio/ac3", "audio/x-ac3", "audio/eac3"},
    {"audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/x-mpeg"},
    {"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"},
    {"audio/ogg", "video/ogg", "application/ogg", "audio/opus"},
    {"audio/flac", "audio/x-flac"},
    {"video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska"},
    {"video/x-msvideo", "video/avi", "video/msvideo"},
    {media.ZIP, "application/x-zip-compressed", "application/x-zip"},
    {"application/gzip", "application/x-gzip"},
    {"application/x-7z-compressed", "application/x-7zip-compressed"},
    {"application/vnd.rar", "application/x-rar-compressed", "application/x-rar"},
    {media.RTF, "text/rtf", "application/msword"},
    {media.XML, "text/xml"},
    {media.PDF, "application/x-pdf"},
    {media.CSV, "application/csv", "application/vnd.ms-excel", "text/comma-separated-values", "text/tab-separated-values"},
    {media.MARKDOWN, "text/x-markdown"},
    {media.JSON, "text/json"},
    {media.HTML, "application/xhtml+xml"},
    {"image/jpeg", "image/jpg", "image/pjpeg"},
    {"image/png", "image/x-png", "image/apng"},
    {"image/bmp", "image/x-ms-bmp", "image/x-bmp"},
    {media.DOC, media.OLE}, {media.XLS, media.OLE}, {media.PPT, media.OLE},
)  # fmt: skip
"""Names of one thing, and things that people take for one."""
_SAYS_NOTHING: Final = {"", media.UNKNOWN, "binary/octet-stream", "application/x-download", "application/force-download", "application/unknown", "text/plain"}
"""Text of any kind is plain text as well; what is not is found by its name."""
_OFFICE: Final = {media.DOCX, media.PPTX, media.XLSX, media.DOC, media.PPT, media.XLS}


def mismatches(found: str, filename: str, declared: str | None) -> list[Warned]:
    """What to warn of: `extension_mismatch`, `type_mismatch`. Declared as the name has it, that is one mistake and not two."""
    named = media.suggested(filename) or ""
    said = (declared or "").partition(";")[0].strip().lower()
    warnings = []
    if not _fits(found, named) or (named == media.PLAIN and not _is_textual(found)):
        warnings.append(Warned(code="extension_mismatch", message=f"The name says {named}, the bytes are {found}"))
    if not _fits(found, said) and not (warnings and _fits(named, said)):
        warnings.append(Warned(code="type_mismatch", message=f"It was sent as {said}, the bytes are {found}"))
    return warnings


def _fits(found: str, claimed: str) -> bool:
    if claimed in _SAYS_NOTHING or claimed == found:
        return True
    if found == media.ENCRYPTED:
        return claimed in _OFFICE
    return any(found in names and claimed in names for names in _SAME)


def _is_textual(media_type: str) -> bool:
    return media.is_text(media_type) or media_type in {media.SVG, media.RTF, media.UNKNOWN}
