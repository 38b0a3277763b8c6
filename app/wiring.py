"""What both processes are put together from: adapters and terms, made from the settings. Used by composition roots only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from app.adapters.policy_file import BadPolicy, Policy
from app.adapters.policy_file import read as read_policy
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation, connect
from app.adapters.redis.fleet import Fleet
from app.adapters.redis.keys import Keyspace
from app.adapters.storage import StorageSettings
from app.domain.quota import Quotas
from app.protocol.announce import Announcer
from app.settings import Settings, SettingsError


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def storage(settings: Settings) -> StorageSettings:
    """Raises SettingsError when no store is named."""
    if not settings.storage_url:
        raise SettingsError("HEADRACE_STORAGE_URL is required (the embedded stack sets it)")
    return StorageSettings(
        url=settings.storage_url,
        s3_endpoint_url=settings.s3_endpoint_url,
        s3_region=settings.s3_region,
        s3_access_key_id=_clear(settings.s3_access_key_id),
        s3_secret_access_key=_clear(settings.s3_secret_access_key),
        s3_public_endpoint_url=settings.s3_public_endpoint_url,
        s3_ca_bundle=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,
    )


def redis(settings: Settings, *, timeout_seconds: float | None = None) -> RedisLocation:
    return RedisLocation(settings.redis_url.get_secret_value(), timeout_seconds or settings.redis_timeout_seconds)


def calls(settings: Settings) -> Calls:
    terms = Terms(
        lease_seconds=settings.lease_seconds,
        grace_seconds=settings.grace_seconds,
        attempts=settings.attempts,
        turns=settings.turns_per_owner,
        events_ttl_seconds=settings.events_ttl_seconds,
        events_ttl_after_end_seconds=settings.events_ttl_after_end_seconds,
    )
    return Calls(Keyspace(settings.redis_prefix), terms)


def fleet(settings: Settings) -> Fleet:
    return Fleet(connect(redis(settings)), Keyspace(settings.redis_prefix))


def announcer(settings: Settings) -> Announcer:
    """Raises SettingsError when there is no secret to sign with."""
    if not settings.secrets:
        raise SettingsError("HEADRACE_SECRET_KEYS is required (the embedded stack makes one)")
    return Announcer(settings.secrets, timedelta(seconds=settings.link_ttl_seconds), lambda: datetime.now(UTC))


def policy(settings: Settings) -> Policy:
    """Raises SettingsError when the policy file cannot be read."""
    try:
        return Policy() if settings.policy_file is None else read_policy(settings.policy_file, quotas(settings))
    except (BadPolicy, OSError) as error:
        raise SettingsError(f"HEADRACE_POLICY_FILE: {error}") from error


def quotas(settings: Settings) -> Quotas:
    return Quotas(
        settings.uploads_per_minute or None, settings.registrations_per_minute or None, settings.bytes_per_day or None, settings.open_per_owner or None
    )  # fmt: skip
