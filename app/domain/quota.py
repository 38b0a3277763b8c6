"""Quotas: how much one owner may ask for in a time, whatever it costs us."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is counted. The names stand in the RateLimit headers and in the problem of a refusal."""

    UPLOADS = "uploads"
    """Sources submitted, in a minute."""
    REGISTRATIONS = "registrations"
    """Channels opened by POST …/sources/ws, in a minute."""
    BYTES = "bytes"
    """Bytes submitted, in a day."""


SECONDS = {Kind.UPLOADS: 60, Kind.REGISTRATIONS: 60, Kind.BYTES: 86400}


@dataclass(frozen=True, slots=True)
class Quotas:
    """Of one owner. None: not limited."""

    uploads_per_minute: int | None = None
    registrations_per_minute: int | None = None
    bytes_per_day: int | None = None
    open_sources: int | None = None
    """At once, at work or waiting."""

    def of(self, kind: Kind) -> int | None:
        return {Kind.UPLOADS: self.uploads_per_minute, Kind.REGISTRATIONS: self.registrations_per_minute, Kind.BYTES: self.bytes_per_day}[kind]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands with a quota, after asking for more."""

    counted: bool
    """They got it."""
    remaining: int
    reset_seconds: int
    """Until there is more."""
