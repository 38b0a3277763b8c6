"""What is published, as it is published: one subscribing connection for this process, however many channels it watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.adapters.redis.client import RedisLocation, unavailable
from app.adapters.redis.keys import Keyspace
from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId

log = logging.getLogger(__name__)

_ACK_SECONDS = 5.0
_PAUSE_SECONDS = 0.2


class RedisLiveFeed:
    """Implements ports.LiveFeed.

    redis-py subscribes again by itself after a reconnect, but what was published meanwhile is gone: an acknowledgement that nobody
    asked for is how that shows, and readers are told (None) to read the history again.
    """

    def __init__(self, location: RedisLocation, keys: Keyspace) -> None:
        # No read timeout: this connection waits for messages. A link that died in silence is found by the health check.
        self._redis = AsyncRedis.from_url(location.url, socket_connect_timeout=location.timeout_seconds, socket_keepalive=True, health_check_interval=10)
        self._pubsub = self._redis.pubsub()
        self._keys = keys
        self._own = f"{keys.prefix}live-feed"
        self._expected: dict[str, asyncio.Future[None]] = {}
        self._started = False

    async def watch(self, owner: OwnerId, channel: ChannelId) -> None:
        name = self._keys.live(owner, channel)
        acknowledged = self._expected[name] = asyncio.get_running_loop().create_future()
        try:
            with unavailable():
                await self._pubsub.subscribe(name)
            async with asyncio.timeout(_ACK_SECONDS):
                await acknowledged
        except TimeoutError:
            raise Unavailable("redis_unavailable", "Redis did not acknowledge a subscription") from None
        finally:
            self._expected.pop(name, None)

    async def unwatch(self, owner: OwnerId, channel: ChannelId) -> None:
        with unavailable():
            await self._pubsub.unsubscribe(self._keys.live(owner, channel))

    async def messages(self) -> AsyncIterator[tuple[OwnerId, ChannelId, bytes] | None]:
        subscribed = False
        while True:
            try:
                if not subscribed:
                    await self._pubsub.subscribe(self._own)  # so that there is always something to listen to
                    subscribed = True
                message = await self._pubsub.get_message(timeout=30.0)
            except (RedisError, OSError) as error:
                log.warning("the live connection is lost: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if message is None:
                continue
            name = message["channel"].decode()
            if message["type"] == "message":
                yield (*self._keys.from_live(name), message["data"])
            elif message["type"] == "subscribe":
                expected = self._expected.get(name)
                if expected is not None:
                    if not expected.done():
                        expected.set_result(None)
                elif name == self._own and not self._started:
                    self._started = True
                else:
                    yield None

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._redis.aclose()
