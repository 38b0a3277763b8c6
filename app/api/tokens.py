"""Upload tokens: a server asks with its key, and hands the token to a browser, which must not have the key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from app.api.deps import Admin, TheServices
from app.api.openapi import PROBLEMS
from app.api.schemas import Body
from app.domain.errors import Forbidden, InvalidRequest
from app.domain.identity import Scope
from app.domain.profile import MEDIA_RANGE
from app.domain.source import METADATA_LIMIT_BYTES
from app.domain.upload_token import UploadToken, mint
from app.domain.wire import Wire, json_size

PREFIXES = ("/public", "/public/user", "/api/v1")
LONGEST_SECONDS = 86400
_USUAL_SECONDS = 900

MediaRange = Annotated[str, Field(pattern=MEDIA_RANGE)]

router = APIRouter(tags=["tokens"], responses=PROBLEMS)


class MintToken(Body):
    """What the token is for. What is left out is not limited."""

    scopes: list[Scope] = Field(default=[Scope.UPLOAD, Scope.READ], min_length=1, description="no more than the key has, and never `admin`")
    expires_in_seconds: int = Field(default=_USUAL_SECONDS, ge=1, le=LONGEST_SECONDS)
    max_bytes: int | None = Field(default=None, ge=1, description="of one source")
    types: list[MediaRange] = Field(default_factory=list, max_length=32, description="media types that the bytes may be, `image/*` for a family")
    count: int | None = Field(default=None, ge=1, description="how many sources may come with it")
    profile: str | None = Field(default=None, description="the only profile that may be used")
    metadata: dict[str, Any] = Field(default_factory=dict, description="laid over the client's metadata; at most 2 KiB")


class MintedToken(Wire):
    token: str = Field(description="for `Authorization: Bearer …`; it needs no X-API-Key and no X-User-ID")
    expires_at: AwareDatetime


@router.post("/tokens")
async def mint_token(asked: MintToken, admin: Admin, services: TheServices) -> MintedToken:
    """A short-lived credential of the user that X-User-ID names, for a browser."""
    scopes = frozenset(asked.scopes)
    if Scope.ADMIN in scopes or not scopes <= admin.scopes:
        raise Forbidden("scope_missing", "a token has no more scopes than the key that mints it, and never admin", scope="admin")
    if json_size(asked.metadata) > METADATA_LIMIT_BYTES // 2:
        raise InvalidRequest("metadata_too_large", f"a token's metadata may have {METADATA_LIMIT_BYTES // 2} bytes", field="metadata")
    services.upload.terms(admin, asked.profile)
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=asked.expires_in_seconds)
    token = UploadToken(
        owner=admin.owner, organisation=admin.organisation, scopes=scopes, expires=expires, max_bytes=asked.max_bytes, types=tuple(asked.types),
        count=asked.count, profile=asked.profile, metadata=asked.metadata,
    )  # fmt: skip
    return MintedToken(token=mint(services.secrets[0], token), expires_at=expires)
