"""Who asks, once that is proved."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.identity import EVERYTHING, Scope
from app.domain.ids import OwnerId
from app.domain.upload_token import UploadToken


@dataclass(frozen=True, slots=True)
class Principal:
    owner: OwnerId
    organisation: str
    scopes: frozenset[Scope] = EVERYTHING
    token: UploadToken | None = None
    """What it came with, when that was no key: it mints nothing, and limits what may be uploaded."""
