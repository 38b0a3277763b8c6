"""A connection to Redis that is ours from the transport on: redis-py opens it (address, TLS, AUTH, SELECT), since its own reader is slow at high rates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.adapters.redis.client import RedisLocation


@dataclass(frozen=True, slots=True)
class Opened:
    transport: asyncio.Transport
    stream: Any
    """Is to be kept as long as the transport: one that is collected closes it."""


async def opened(location: RedisLocation, protocol: asyncio.Protocol) -> Opened:
    """Speaks RESP2; what comes goes to `protocol`, whose `connection_made` is not called. Raises RedisError or OSError: there is no connection to be had."""
    pool = ConnectionPool.from_url(location.url, protocol=2, retry=Retry(NoBackoff(), 0), **location.options)
    made: Any = pool.make_connection()  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(2 * location.timeout_seconds):
            await made.connect()
    except BaseException:
        await made.disconnect(nowait=True)
        raise
    # The transport has no public name.
    stream, made._reader, made._writer = made._writer, None, None  # noqa: SLF001 - see above; tests hold it against each kind of URL
    stream.transport.set_protocol(protocol)
    return Opened(stream.transport, stream)
