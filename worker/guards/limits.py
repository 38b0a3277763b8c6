"""What a file may unpack to."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Over `ratio` with more than `free_bytes` it is a bomb; over one of the others it is merely large, and is kept without being read."""

    ratio: int = 100
    """Unpacked bytes for each byte of the file."""
    free_bytes: int = 10 * MIB
    """So much may come of anything: ordinary office files have XML that is packed very well."""
    archive_entries: int = 10_000
    archive_bytes: int = 512 * MIB
    pixels: int = 50_000_000
