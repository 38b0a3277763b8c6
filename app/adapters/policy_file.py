"""The operator's policy file (HEADRACE_POLICY_FILE): profiles of uploads, and quotas of single organisations, as TOML.

[profiles.scans]
max-bytes = 50_000_000
types = ["application/pdf", "image/*"]
chunks = true

[organisations.acme]
uploads-per-minute = 6000
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.domain.errors import InvalidRequest
from app.domain.profile import DEFAULT, MEDIA_RANGE, Profile, Webhook
from app.domain.quota import Quotas
from app.domain.urls import check_url
from app.domain.webhook import secret_bytes
from app.domain.wire import kebab

_NAME = r"^[A-Za-z0-9._-]{1,64}$"


class BadPolicy(ValueError):
    """The file does not make sense; the text says where."""


@dataclass(frozen=True, slots=True)
class Policy:
    profiles: dict[str, Profile] = field(default_factory=lambda: {DEFAULT: Profile()})
    quotas: dict[str, Quotas] = field(default_factory=dict)
    """Of an organisation, in place of the usual ones."""


def _url(value: str) -> str:
    try:
        check_url(value)
    except InvalidRequest as error:
        raise ValueError(error.detail) from None
    return value


def _secret(value: str) -> str:
    secret_bytes(value)
    return value


class _Table(BaseModel):
    model_config = ConfigDict(alias_generator=kebab, extra="forbid", strict=True)


class _Webhook(_Table):
    url: Annotated[str, AfterValidator(_url)]
    secret: Annotated[str, AfterValidator(_secret)]
    before_client: bool = False


class _Profile(_Table):
    max_bytes: int | None = Field(None, ge=1)
    types: list[Annotated[str, Field(pattern=MEDIA_RANGE)]] = Field(default_factory=list)
    webhook: _Webhook | None = None
    chunks: bool | None = None


class _Organisation(_Table):
    """0: not limited. What is left out is as usual."""

    uploads_per_minute: int | None = Field(None, ge=0)
    registrations_per_minute: int | None = Field(None, ge=0)
    bytes_per_day: int | None = Field(None, ge=0)
    open_sources: int | None = Field(None, ge=0)


class _File(_Table):
    profiles: dict[Annotated[str, Field(pattern=_NAME)], _Profile] = Field(default_factory=dict)
    organisations: dict[str, _Organisation] = Field(default_factory=dict)


def read(file: Path, usual: Quotas) -> Policy:
    """Raises BadPolicy, OSError."""
    try:
        told = _File.model_validate(tomllib.loads(file.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPolicy(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadPolicy(f"{file}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    profiles = {DEFAULT: Profile()} | {name: _profile(each) for name, each in told.profiles.items()}
    return Policy(profiles, {name: _instead(each, usual) for name, each in told.organisations.items()})


def _profile(told: _Profile) -> Profile:
    return Profile(told.max_bytes, tuple(told.types), _webhook(told.webhook), told.chunks)


def _webhook(told: _Webhook | None) -> Webhook | None:
    return Webhook(told.url, told.secret, told.before_client) if told else None


def _instead(told: _Organisation, usual: Quotas) -> Quotas:
    def one(said: int | None, otherwise: int | None) -> int | None:
        return otherwise if said is None else said or None

    return Quotas(
        one(told.uploads_per_minute, usual.uploads_per_minute),
        one(told.registrations_per_minute, usual.registrations_per_minute),
        one(told.bytes_per_day, usual.bytes_per_day),
        one(told.open_sources, usual.open_sources),
    )
