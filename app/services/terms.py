"""What one upload must keep to: the deployment's limit, the profile's, and those of the token that it came with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.domain.errors import Forbidden, InvalidRequest
from app.domain.profile import DEFAULT, Profile, both
from app.services.principal import Principal


@dataclass(frozen=True, slots=True)
class Terms:
    max_bytes: int
    types: tuple[str, ...] = ()
    profile: str = DEFAULT
    metadata: dict[str, Any] = field(default_factory=dict)
    """Laid over what the client says."""


def terms(principal: Principal, asked: str | None, profiles: Mapping[str, Profile], *, max_bytes: int) -> Terms:
    """`asked`: the profile that the client names, if any. Raises InvalidRequest (no such profile), Forbidden (the token is for another)."""
    token = principal.token
    pinned = token.profile if token else None
    if pinned and asked and asked != pinned:
        raise Forbidden("profile_pinned", "this upload token is for one profile, and another was named", field="profile")
    name = pinned or asked or DEFAULT
    profile = profiles.get(name)
    if profile is None:
        raise InvalidRequest("unknown_profile", f"no such profile; there are: {', '.join(sorted(profiles))}", field="profile")
    limits = [max_bytes, profile.max_bytes, token.max_bytes if token else None]
    return Terms(
        max_bytes=min(limit for limit in limits if limit is not None),
        types=both(profile.types, token.types if token else ()),
        profile=name,
        metadata=token.metadata if token else {},
    )
