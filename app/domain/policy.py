"""What an upload may be, as plain numbers: services and pipeline get this, never the settings."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
PART_BYTES = 8 * MIB
"""Up to this size an upload is one PUT; above it, parts of this size (or larger, see `part_bytes`)."""
INLINE_BYTES = 64 * 1024
"""Up to this size the bytes travel in the inbox record: one durable request for an acceptance instead of two, one after the other."""
MAX_PARTS = 10_000
"""S3's limit of parts in one multipart upload."""
JSON_BODY_BYTES = 10 * MIB
MAX_FILES = 100
"""Files in one request: each costs some requests to the store after the form has ended, and the client waits for all of them."""


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    max_upload_bytes: int = 5 * 1024 * MIB
    body_stall_seconds: float = 60.0
    """A body of which nothing comes for so long is given up (408)."""
    max_request_bytes: int = 0
    """Of several files in one request together."""

    @property
    def request_bytes(self) -> int:
        return max(self.max_request_bytes, self.max_upload_bytes)


def part_bytes(content_length: int | None) -> int:
    """The size of a part, in whole MiB: 8 MiB, or more when `content_length` would need over 10,000 of those."""
    if content_length is None:
        return PART_BYTES
    return max(PART_BYTES, -(-content_length // MAX_PARTS // MIB) * MIB)
