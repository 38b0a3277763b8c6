"""What opens a channel's socket beside an API key: a signed token, for as long as the channel is kept, or a ticket, once.

A token is signed and nothing is kept of it, so it survives all of Redis. A ticket is a random text of which Redis keeps the hash.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from app.domain.ids import ChannelId, OwnerId
from app.domain.signature import seal, unseal

Tickets = Literal["auto", "required", "off"]
"""auto: a random UUID may be connected to bare, all else needs a token · required: a ticket, always · off: bare works for every name."""

TICKET_SECONDS = 60


def issue(secret: str, owner: OwnerId, channel: ChannelId, expires: datetime) -> str:
    """A token for this owner's channel of that name, and for no other."""
    return seal(secret, _purpose(channel), [owner, int(expires.timestamp())])


def holder(secrets: Sequence[str], channel: ChannelId, token: str, now: datetime) -> OwnerId | None:
    """Whose channel of that name the token opens. None: it is not ours, is for another name, or its time is over."""
    content = unseal(secrets, _purpose(channel), token)
    if content is None:
        return None
    owner, expires = content
    return OwnerId(owner) if now.timestamp() <= expires else None


def new_ticket() -> str:
    return randomness.token_urlsafe(32)


def ticket_hash(ticket: str) -> str:
    """What is kept of a ticket: who reads Redis cannot use it."""
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()


def _purpose(channel: ChannelId) -> str:
    return f"socket:{channel}"  # an id has no colon, so no two names make one text
