"""ZIP, and what is ZIP underneath (office files, EPUB): how many members, how large they become, whether they lie on one another."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from app.domain.errors import ProcessingFailed
from worker.guards.limits import MIB, Unpacked

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")

_END, _END64, _LOCATOR64, _CENTRAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_SEARCH_BYTES: Final = 66 * 1024  # the record is 22 bytes, its comment at most 64 KiB
_DIRECTORY_BYTES: Final = 16 * MIB  # 10,000 entries have a tenth
_LOCAL_BYTES: Final = 30


@dataclass(frozen=True, slots=True)
class _Member:
    packed: int
    unpacked: int
    begin: int
    """Of its local header, from the start of the archive."""
    end: int
    """No earlier than that its bytes end here."""


def check(file: BinaryIO, size: int, limits: Unpacked) -> str | None:
    """Why it is not to be read, or None. Raises ProcessingFailed: bomb. A directory that makes no sense is left to the parsers."""
    found = _directory(file, size)
    if found is None:
        return None
    begin, length, entries = found
    if entries > limits.archive_entries or length > _DIRECTORY_BYTES:
        return f"{entries} members, of which {limits.archive_entries} are read at most"
    file.seek(begin)
    members = list(_members(file.read(length), limits.archive_entries))
    unpacked = sum(member.unpacked for member in members)
    if unpacked > limits.free_bytes and unpacked > limits.ratio * size:
        raise ProcessingFailed("bomb", f"{unpacked} bytes of {size}")
    if _overlap(members):
        raise ProcessingFailed("bomb", "members lie on one another")
    if unpacked > limits.archive_bytes:
        return f"it unpacks to {unpacked >> 20} MiB, of which {limits.archive_bytes >> 20} are read at most"
    return None


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int] | None:
    """Where the central directory begins, how long it is, and how many entries it says to have."""
    tail_at = max(0, size - _END_SEARCH_BYTES)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        return None
    entries, length, begin = struct.unpack_from("<HII", tail, at + 10)
    end = tail_at + at
    locator = tail.rfind(_LOCATOR64, 0, at)
    if locator >= 0 and 0xFFFFFFFF in {length, begin} | {0xFFFFFFFF if entries == 0xFFFF else 0}:
        (end,) = struct.unpack_from("<Q", tail, locator + 8)
        file.seek(min(end, size))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(_END64):
            return None
        entries, length, begin = struct.unpack_from("<QQQ", record, 32)
    # What stands before an archive shifts all of it; the directory ends where its end record begins.
    begin = end - length
    return (begin, length, entries) if 0 <= begin <= end <= size else None


def _members(directory: bytes, most: int) -> Iterator[_Member]:
    at = 0
    # One more than it may have: an end record can say less than there is.
    for _ in range(most + 1):
        if len(directory) < at + 46 or directory[at : at + 4] != _CENTRAL:
            return
        packed, unpacked, name, extra, comment = struct.unpack_from("<IIHHH", directory, at + 20)
        (begin,) = struct.unpack_from("<I", directory, at + 42)
        fields = directory[at + 46 + name : at + 46 + name + extra]
        unpacked, packed, begin = _long(fields, unpacked, packed, begin)
        yield _Member(packed, unpacked, begin, begin + _LOCAL_BYTES + name + packed)
        at += 46 + name + extra + comment


def _long(fields: bytes, *short: int) -> list[int]:
    """The sizes that did not fit, in their order, are in the extra field 1."""
    wide = b""
    while len(fields) >= 4:
        kind, length = struct.unpack_from("<HH", fields)
        if kind == 1:
            wide = fields[4 : 4 + length]
            break
        fields = fields[4 + length :]
    found = list(short)
    for index, value in enumerate(found):
        if value == 0xFFFFFFFF and len(wide) >= 8:
            found[index], wide = struct.unpack_from("<Q", wide)[0], wide[8:]
    return found


def _overlap(members: list[_Member]) -> bool:
    """Whether bytes are used twice: how a small archive holds what no ratio of one member would tell."""
    furthest = -1
    for member in sorted(members, key=lambda each: each.begin):
        if member.begin < furthest:
            return True
        furthest = max(furthest, member.end)
    return False
