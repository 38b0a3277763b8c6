"""ZIP archives: what is in them, by name and size. Nothing is unpacked."""

from __future__ import annotations

import posixpath
import struct
import zipfile
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Failed, Reading

_NESTED: Final = (".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".jar")
_ENCRYPTED_FLAG: Final = 0x1


class ArchiveProcessor(BuiltIn):
    name = "archive"
    media_types: tuple[str, ...] = (media.ZIP,)

    def process(self, reading: Reading) -> Extracted:
        try:
            with zipfile.ZipFile(reading.path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError) as error:
            raise Failed("malformed", str(error)) from error
        files = [member for member in members if not member.filename.endswith("/")]  # is_dir breaks on an empty name
        for member in files:
            if not reading.write_text(f"{_shown(member.filename)}\t{member.file_size}\n"):
                break
        if any(member.filename.lower().endswith(_NESTED) for member in files):
            reading.warn("nested_archive", "There are archives in it, which were not looked into")
        if any(_is_unsafe(member.filename) for member in members):
            reading.warn("unsafe_member", "Some names lead out of the folder that it would be unpacked in")
        if any(member.flag_bits & _ENCRYPTED_FLAG for member in files):
            reading.warn("encrypted", "Some members need a password")
        if not files:
            reading.warn("no_text", "The archive is empty")
        size = sum(member.file_size for member in files)
        return Extracted(details={"members": len(files), "unpacked_bytes": size})


def _shown(name: str) -> str:
    """On one line; a name may hold anything."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _is_unsafe(name: str) -> bool:
    path = name.replace("\\", "/")
    return path.startswith("/") or path[1:2] == ":" or posixpath.normpath(path).startswith("..")
