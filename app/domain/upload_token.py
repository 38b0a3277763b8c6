"""Upload tokens: what a server mints with its key for a browser that must not hold one.

Signed and kept nowhere, so one survives all of Redis, and works until it expires: minutes, not days. Only how many sources it has
brought is counted (`count`).
"""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.domain.identity import Scope
from app.domain.ids import OwnerId
from app.domain.signature import seal, unseal

PREFIX = "hrt_"
_PURPOSE = "upload-token"


@dataclass(frozen=True, slots=True)
class UploadToken:
    """What the holder may do, for one user. Nothing set: no limit beside those of the deployment."""

    owner: OwnerId
    organisation: str
    scopes: frozenset[Scope]
    expires: datetime
    id: str = field(default_factory=lambda: randomness.token_hex(8))
    """Names the token where its sources are counted."""
    max_bytes: int | None = None
    """Of one source."""
    types: tuple[str, ...] = ()
    """Media types, `image/*` for a family. They are what the bytes are, not what the client says they are."""
    count: int | None = None
    """How many sources may come with it."""
    profile: str | None = None
    """The only one that may be used."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Laid over the client's."""


def mint(secret: str, token: UploadToken) -> str:
    content = {
        "id": token.id, "owner": token.owner, "organisation": token.organisation, "scopes": sorted(token.scopes), "max": token.max_bytes,
        "types": token.types, "count": token.count, "profile": token.profile, "metadata": token.metadata,
    }  # fmt: skip
    return PREFIX + seal(secret, _PURPOSE, [int(token.expires.timestamp()), json.dumps(content, separators=(",", ":"))])


def read(secrets: Sequence[str], text: str, now: datetime) -> UploadToken | None:
    """What was minted under one of the secrets; None when it was not, or its time is over."""
    content = unseal(secrets, _PURPOSE, text.removeprefix(PREFIX)) if text.startswith(PREFIX) else None
    if content is None or now.timestamp() > content[0]:
        return None
    told = json.loads(content[1])
    return UploadToken(
        owner=OwnerId(told["owner"]), organisation=told["organisation"], scopes=frozenset(map(Scope, told["scopes"])),
        expires=datetime.fromtimestamp(content[0], UTC), id=told["id"], max_bytes=told["max"], types=tuple(told["types"]), count=told["count"],
        profile=told["profile"], metadata=told["metadata"],
    )  # fmt: skip
