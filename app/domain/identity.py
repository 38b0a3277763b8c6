"""Who is asking, and what they may do: what an API key stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a credential may be used for."""

    UPLOAD = "upload"
    """Open channels, submit sources, retry and cancel them."""
    READ = "read"
    """List and show sources, read channels and artifacts."""
    DELETE = "delete"
    """Remove sources."""
    ADMIN = "admin"
    """Mint upload tokens, and what is done for a whole organisation."""


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    organisation: str
    scopes: frozenset[Scope] = EVERYTHING
