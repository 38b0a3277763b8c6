"""Connections to Redis, and the scripts in lua/."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RedisLocation:
    url: str
    timeout_seconds: float = 1.0
    """For connecting and for each answer. A failed call is made once more on a new connection: every script may be repeated."""

    @property
    def options(self) -> dict[str, Any]:
        """Beside the URL, for redis-py's from_url."""
        keepalive = {} if self.url.startswith("unix:") else {"socket_keepalive": True}
        return {"socket_timeout": self.timeout_seconds, "socket_connect_timeout": self.timeout_seconds, **keepalive}


# A connection that went stale while idle is noticed by its first command; one repetition mends that. More would only add
# to the time that a client waits while Redis is away (redis-py's own default is ten).
_RETRIES = 1
_RETRY_ON = (RedisConnectionError,)


def connect(location: RedisLocation) -> Redis:
    return Redis.from_url(location.url, health_check_interval=15, retry=Retry(NoBackoff(), _RETRIES, supported_errors=_RETRY_ON), **location.options)


@cache
def script(name: str) -> str:
    """The text of a script, behind the functions that all of them share."""
    folder = files("app.adapters.redis") / "lua"
    return "".join((folder / f"{part}.lua").read_text() for part in ("_append", "_turns", name))


@cache
def sha(name: str) -> str:
    """What EVALSHA calls it."""
    return hashlib.sha1(script(name).encode(), usedforsecurity=False).hexdigest()


class unavailable:  # noqa: N801 - `with unavailable():`, a class since a generator would cost more than the rest of the way there
    """Redis' failures as ours: it is away, frozen, loading or full."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, RedisError | OSError | RuntimeError):  # uvloop says RuntimeError of a transport that was closed under redis-py
            return
        # Full and the like, or a right that its user lacks; or a fault in a script of ours, which must not look like an outage only.
        if type(error) in {ResponseError, NoPermissionError}:
            log.error("Redis refused: %s", error)
        raise Unavailable("redis_unavailable", f"Redis did not answer: {type(error).__name__}") from error
