"""What is published, as it is published: one subscribing connection for this process, however many channels it watches."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.adapters.redis.client import RedisLocation, unavailable
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.live_connection import LiveConnection
from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId
from app.telemetry.metrics import LIVE_RECONNECTS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """How long things take, in seconds."""

    acknowledge: float = 5
    beat: float = 5
    """How often this process writes to itself, to see that the connection lives."""
    silence: float = 10
    """Nothing came for so long: the connection is taken for dead, though nobody said so."""
    pause: float = 0.05
    """Before the first attempt to connect again; doubled each time, with jitter."""
    longest_pause: float = 2


@dataclass(eq=False, slots=True)
class _Watched:
    owner: OwnerId
    channel: ChannelId
    ready: asyncio.Event


class RedisLiveFeed:
    """Implements ports.LiveFeed. Through `commands` it writes to itself, to see that the connection lives."""

    def __init__(self, location: RedisLocation, keys: Keyspace, commands: AsyncRedis, terms: LiveTerms | None = None) -> None:
        self._location = location
        self._keys = keys
        self._terms = terms or LiveTerms()
        self._commands = commands
        self._own = f"{keys.prefix}live-feed:{uuid.uuid4().hex}".encode()
        self._watched: dict[bytes, _Watched] = {}
        self._connection: LiveConnection | None = None
        self._tell: Callable[[OwnerId, ChannelId, bytes], None] = lambda *_: None

    async def watch(self, owner: OwnerId, channel: ChannelId) -> None:
        name = self._keys.live(owner, channel).encode()
        watched = self._watched[name] = _Watched(owner, channel, asyncio.Event())
        if self._connection is not None:
            self._connection.subscribe(name, watched.ready.set)
        try:
            async with asyncio.timeout(self._terms.acknowledge):
                await watched.ready.wait()
        except BaseException as error:
            if self._watched.get(name) is watched:
                self.unwatch(owner, channel)
            if isinstance(error, TimeoutError):
                raise Unavailable("redis_unavailable", "Redis did not acknowledge a subscription") from None
            raise

    def unwatch(self, owner: OwnerId, channel: ChannelId) -> None:
        name = self._keys.live(owner, channel).encode()
        if self._watched.pop(name, None) is not None and self._connection is not None:
            self._connection.unsubscribe(name)

    async def run(self, tell: Callable[[OwnerId, ChannelId, bytes], None], missed: Callable[[], None]) -> None:
        self._tell = tell
        beating = asyncio.create_task(self._beat())
        try:
            await self._supervise(missed)
        finally:
            beating.cancel()  # not awaited: redis-py may take a cancellation for its own timeout

    async def _supervise(self, missed: Callable[[], None]) -> None:
        failures, connected = 0, False
        while True:
            connection = LiveConnection(self._on_message, missed, self._terms.silence)
            try:
                await connection.open(self._location)
                self._connection = connection
                if await self._subscribe_all(connection):
                    LIVE_RECONNECTS.inc(connected)
                    failures, connected = 0, True
                    missed()  # what was published before the acknowledgements is in the history only
                    await connection.lost.wait()
                log.warning("the live connection is lost")
            except (RedisError, OSError) as error:
                (log.debug if failures else log.warning)("no live connection: %s", type(error).__name__)
            finally:
                self._connection = None
                connection.drop()
            pause = min(self._terms.pause * 2 ** min(failures, 16), self._terms.longest_pause)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the processes; no secret
            failures += 1

    async def _subscribe_all(self, connection: LiveConnection) -> bool:
        """Every channel that is watched, and our own. False when that was not acknowledged in time, or the connection lost before."""
        left = {self._own, *self._watched}
        done = asyncio.Event()

        def acknowledged(name: bytes, watched: _Watched | None) -> None:
            if watched is not None:
                watched.ready.set()
            left.discard(name)
            if not left:
                done.set()

        for name in left:
            connection.subscribe(name, partial(acknowledged, name, self._watched.get(name)))
        waiting = {asyncio.create_task(done.wait()), asyncio.create_task(connection.lost.wait())}
        await asyncio.wait(waiting, timeout=self._terms.acknowledge, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return done.is_set() and not connection.lost.is_set()

    async def _beat(self) -> None:
        while True:
            with suppress(Unavailable), unavailable():  # then the silence tells
                await self._commands.publish(self._own.decode(), b"")
            await asyncio.sleep(self._terms.beat)

    def _on_message(self, name: bytes, body: bytes) -> None:
        watched = self._watched.get(name)
        if watched is not None:
            self._tell(watched.owner, watched.channel, body)
