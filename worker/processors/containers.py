"""What is inside three containers that many formats share: ZIP, OLE, and the boxes of MP4 and HEIF."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from app.domain import media

OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_SEARCH_BYTES: Final = 66 * 1024  # the end record is 22 bytes, its comment at most 64 KiB
_DIRECTORY_BYTES: Final = 1024 * 1024
_STORED, _DEFLATED = 0, 8

_OFFICE: Final = {"word/": media.DOCX, "ppt/": media.PPTX, "xl/": media.XLSX}
_BY_MIMETYPE: Final = {name.encode(): name for name in (media.ODT, media.ODP, media.ODS, media.EPUB)}
_STREAMS: Final = {
    "EncryptedPackage": media.ENCRYPTED,
    "WordDocument": media.DOC,
    "PowerPoint Document": media.PPT,
    "Workbook": media.XLS,
    "Book": media.XLS,
}
_BRANDS: Final = {
    b"heic": media.HEIC, b"heix": media.HEIC, b"heim": media.HEIC, b"heis": media.HEIC, b"hevc": "image/heic-sequence", b"hevx": "image/heic-sequence",
    b"avif": "image/avif", b"avis": "image/avif",
    b"isom": "video/mp4", b"iso2": "video/mp4", b"iso4": "video/mp4", b"iso5": "video/mp4", b"iso6": "video/mp4", b"mp41": "video/mp4", b"mp42": "video/mp4",
    b"avc1": "video/mp4", b"dash": "video/mp4", b"M4V ": "video/x-m4v", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"qt  ": "video/quicktime",
}  # fmt: skip


def zip_type(file: BinaryIO, head: bytes) -> str:
    """By the members' names, of which at most 1 MiB of directory is read, and the member `mimetype`."""
    members = dict(_directory(file) or _local_headers(head))
    if "mimetype" in members and (declared := _BY_MIMETYPE.get(_content(file, members["mimetype"]))):
        return declared
    if "META-INF/container.xml" in members:
        return media.EPUB
    if "[Content_Types].xml" in members:
        for folder, name in _OFFICE.items():
            if any(member.startswith(folder) for member in members):
                return name
    return media.ZIP


def ole_type(file: BinaryIO, head: bytes) -> str:
    """By the streams that its directory names."""
    shift, first = struct.unpack_from("<H", head.ljust(64, b"\0"), 30)[0], struct.unpack_from("<I", head.ljust(64, b"\0"), 48)[0]
    if shift in {9, 12}:
        file.seek((first + 1) << shift)
        # The directory's sectors stand mostly together; where they do not, what matters is mostly in the first.
        directory = file.read(8192)
        names = {directory[at : at + 64].partition(b"\0\0\0")[0] for at in range(0, len(directory), 128)}
        for stream, name in _STREAMS.items():
            if stream.encode("utf-16-le")[:-1] in names:
                return name
    return media.OLE


def box_type(head: bytes) -> str | None:
    """By the brands of an `ftyp` box; None when there is none that we know."""
    size = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or not 16 <= size <= 1024:
        return None
    brands = [head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4))]
    if brands[0] in {b"mif1", b"msf1"}:  # a general brand: the compatible ones say more
        return next((_BRANDS[brand] for brand in brands if _BRANDS.get(brand, "").startswith("image/")), media.HEIF)
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)


def _directory(file: BinaryIO) -> list[tuple[str, int]]:
    """(name, offset of the local header) of each member that the central directory lists; empty when there is none."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(0, size - _END_SEARCH_BYTES)
    file.seek(tail_at)
    tail = file.read(_END_SEARCH_BYTES)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < 22:
        return []
    length, offset = struct.unpack_from("<II", tail, end + 12)
    begin = tail_at + end - length
    if length == 0xFFFFFFFF or begin < 0:  # ZIP64, or a lie: the local headers must do
        return []
    file.seek(begin)
    directory = file.read(min(length, _DIRECTORY_BYTES))
    return [(name, at + begin - offset) for name, at in _central_records(directory)]


def _central_records(directory: bytes) -> Iterator[tuple[str, int]]:
    at = 0
    while directory.startswith(_CENTRAL, at) and at + 46 <= len(directory):
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        (offset,) = struct.unpack_from("<I", directory, at + 42)
        yield directory[at + 46 : at + 46 + name].decode("utf-8", "replace"), offset
        at += 46 + name + extra + comment


def _local_headers(head: bytes) -> Iterator[tuple[str, int]]:
    """For a file whose end is missing: what the first bytes show."""
    at = head.find(_LOCAL)
    while at >= 0:
        name = int.from_bytes(head[at + 26 : at + 28], "little")
        yield head[at + 30 : at + 30 + name].decode("utf-8", "replace"), at
        at = head.find(_LOCAL, at + 4)


def _content(file: BinaryIO, offset: int) -> bytes:
    """The first 256 bytes of a small member; empty when it cannot be read."""
    if offset < 0:
        return b""
    file.seek(offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(_LOCAL):
        return b""
    (method, packed), (name, extra) = struct.unpack_from("<H8xI", header, 8), struct.unpack_from("<HH", header, 26)
    file.seek(name + extra, os.SEEK_CUR)
    data = file.read(min(packed, 256))
    if method == _STORED:
        return data.strip()
    if method != _DEFLATED:
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, 256).strip()
    except zlib.error:
        return b""
