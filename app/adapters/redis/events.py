"""What is published, as it is published: one subscribing connection for this process, however many channels it watches."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from redis.exceptions import RedisError

from app.adapters.redis.client import RedisLocation, unavailable
from app.adapters.redis.commands import Commands
from app.adapters.redis.deadlines import Deadlines
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


class RedisLiveFeed:
    """Implements ports.LiveFeed. Through `commands` it writes to itself, to see that the connection lives."""

    def __init__(self, location: RedisLocation, keys: Keyspace, commands: Commands, terms: LiveTerms | None = None) -> None:
        self._location = location
        self._keys = keys
        self._terms = terms or LiveTerms()
        self._commands = commands
        self._own = f"{keys.prefix}live-feed:{uuid.uuid4().hex}".encode()
        self._opening: dict[bytes, asyncio.Future[None]] = {}
        """Subscriptions that were not acknowledged yet. Of the others nothing is kept here, since there are ten thousand."""
        self._awaited: Deadlines[tuple[bytes, asyncio.Future[None]]] = Deadlines(self._terms.acknowledge, self._give_up)
        self._connection: LiveConnection | None = None
        self._is_whole = False
        self._tell: Callable[[OwnerId, ChannelId, bytes], None] = lambda *_: None

    def watch(self, owner: OwnerId, channel: ChannelId) -> asyncio.Future[None]:
        """Neither a task nor a coroutine nor a timer of its own: each socket that is opened pays for this."""
        name = self._keys.live(owner, channel).encode()
        acknowledged = self._opening[name] = asyncio.get_running_loop().create_future()
        if self._connection is not None:
            self._connection.subscribe(name, partial(self._acknowledge, name, acknowledged))
        self._awaited.add((name, acknowledged))
        return acknowledged

    def _give_up(self, awaited: tuple[bytes, asyncio.Future[None]]) -> None:
        name, acknowledged = awaited
        if self._opening.get(name) is acknowledged:
            del self._opening[name]
            self._unsubscribe(name)
        if not acknowledged.done():
            acknowledged.set_exception(Unavailable("redis_unavailable", "Redis did not acknowledge a subscription"))

    def _acknowledge(self, name: bytes, opening: asyncio.Future[None] | None) -> None:
        """Of this one only: a name that was given up may be asked for again before its first acknowledgement comes."""
        if opening is not None:
            self._awaited.drop((name, opening))
            if self._opening.get(name) is opening:
                del self._opening[name]
            if not opening.done():
                opening.set_result(None)

    def unwatch(self, owner: OwnerId, channel: ChannelId) -> None:
        self._unsubscribe(self._keys.live(owner, channel).encode())

    def _unsubscribe(self, name: bytes) -> None:
        if self._connection is not None:
            self._connection.unsubscribe(name)

    async def run(
        self,
        tell: Callable[[OwnerId, ChannelId, bytes], None],
        missed: Callable[[], None],
        watched: Callable[[], Iterable[tuple[OwnerId, ChannelId]]],
    ) -> None:
        self._tell = tell
        beating = asyncio.create_task(self._beat())
        try:
            await self._supervise(missed, watched)
        finally:
            beating.cancel()  # not awaited: redis-py may take a cancellation for its own timeout

    async def _supervise(self, missed: Callable[[], None], watched: Callable[[], Iterable[tuple[OwnerId, ChannelId]]]) -> None:
        failures, connected = 0, False
        while True:
            connection = LiveConnection(self._on_message, missed, self._terms.silence)
            try:
                await connection.open(self._location)
                self._connection = connection
                names = {self._own, *self._opening, *(self._keys.live(*channel).encode() for channel in watched())}
                if await self._subscribe_all(connection, names):
                    LIVE_RECONNECTS.inc(connected)
                    failures, connected = 0, True
                    self._is_whole = True
                    missed()  # what was published before the acknowledgements is in the history only
                    await connection.lost.wait()
                log.warning("the live connection is lost")
            except (RedisError, OSError) as error:
                (log.debug if failures else log.warning)("no live connection: %s", type(error).__name__)
            finally:
                self._connection, self._is_whole = None, False
                connection.drop()
            pause = min(self._terms.pause * 2 ** min(failures, 16), self._terms.longest_pause)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the processes; no secret
            failures += 1

    async def _subscribe_all(self, connection: LiveConnection, left: set[bytes]) -> bool:
        """False when that was not acknowledged in time, or the connection lost before."""
        done = asyncio.Event()

        def acknowledged(name: bytes, opening: asyncio.Future[None] | None) -> None:
            self._acknowledge(name, opening)
            left.discard(name)
            if not left:
                done.set()

        for name in left:
            connection.subscribe(name, partial(acknowledged, name, self._opening.get(name)))
        waiting = {asyncio.create_task(done.wait()), asyncio.create_task(connection.lost.wait())}
        await asyncio.wait(waiting, timeout=self._terms.acknowledge, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return done.is_set() and not connection.lost.is_set()

    async def _beat(self) -> None:
        while True:
            with suppress(Unavailable), unavailable():  # then the silence tells
                await self._commands("PUBLISH", self._own, b"")
            await asyncio.sleep(self._terms.beat)

    def _on_message(self, name: bytes, body: bytes) -> None:
        if self._is_whole and name != self._own:  # else a progress could overtake a milestone that the last connection lost
            self._tell(*self._keys.from_live(name.decode()), body)
