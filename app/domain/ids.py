"""Identifiers: what a client may call its things, and how an owner is named without naming anybody.

Client ids become parts of store keys and Redis keys, so the alphabet is closed here, once.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import NewType

from app.domain.errors import InvalidRequest

OwnerId = NewType("OwnerId", str)
SourceId = NewType("SourceId", str)
ChannelId = NewType("ChannelId", str)
UploadId = NewType("UploadId", str)
Fence = NewType("Fence", str)

_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# Upper case too: `uuidgen` of macOS writes it.
_RANDOM_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def _client_id(value: str | None, field: str) -> str:
    if not value:
        raise InvalidRequest("missing_field", f"{field} is required", field=field)
    if not _CLIENT_ID.fullmatch(value) or value in {".", ".."}:
        raise InvalidRequest("invalid_id", f"{field} must be 1 to 128 characters of A-Z a-z 0-9 . _ -, and not . or ..", field=field)
    return value


def source_id(value: str | None, field: str = "source-uuid") -> SourceId:
    """The client's id of a source. Raises InvalidRequest (400) when it is absent or outside the alphabet."""
    return SourceId(_client_id(value, field))


def channel_id(value: str | None, field: str = "ws-uuid") -> ChannelId:
    """The client's id of a channel. Raises InvalidRequest (400) when it is absent or outside the alphabet."""
    return ChannelId(_client_id(value, field))


def is_random_uuid(channel: ChannelId) -> bool:
    """Whether the name is a UUIDv4 as RFC 9562 writes it: 122 random bits, which nobody guesses."""
    return _RANDOM_UUID.fullmatch(channel) is not None


def owner_id(organisation: str, user: str) -> OwnerId:
    """Who owns a source: 32 hex characters of SHA-256 over organisation, NUL, user.

    User ids are often e-mail addresses, so the hash is what enters keys and logs. Organisations cannot hold a NUL
    (they come from our own key file), so no two pairs share a text.
    """
    return OwnerId(hashlib.sha256(f"{organisation}\0{user}".encode()).hexdigest()[:32])


def new_upload() -> UploadId:
    """A name for bytes that are about to arrive: ours, random, so that form fields may come in any order."""
    return UploadId(uuid.uuid4().hex)


def new_fence() -> Fence:
    """The mark of one attempt. Random and not a counter: a counter would repeat after Redis was wiped."""
    return Fence(uuid.uuid4().hex)
