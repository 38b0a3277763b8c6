"""What is done to a fleet while it works, and when: made from the seed before it begins."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tests.chaos.fleet import Fleet
from tests.chaos.storage import Storage
from tests.servers import Valkey

FIVE_MINUTES = 300.0


@dataclass(slots=True)
class Arena:
    """Whom it hits."""

    fleet: Fleet
    redis: Valkey
    storage: Storage
    outage_seconds: float
    chance: random.Random
    redis_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    storage_lock: asyncio.Lock = field(default_factory=asyncio.Lock)


Deed = Callable[[Arena], Awaitable[str]]


def _signal(kind: str, number: signal.Signals) -> Deed:
    async def deed(arena: Arena) -> str:
        for _ in range(30):
            if victim := arena.fleet.victim(kind, arena.chance):
                with suppress(ProcessLookupError):
                    os.kill(victim[1], number)
                return victim[0]
            await asyncio.sleep(0.1)
        return "nobody was there"

    return deed


async def _redis_dies(arena: Arena) -> str:
    async with arena.redis_lock:
        await asyncio.to_thread(arena.redis.kill)
        away = arena.chance.uniform(0.1, 3)
        await asyncio.sleep(away)
        await asyncio.to_thread(arena.redis.start)
    return f"away for {away:.1f} s"


async def _redis_freezes(arena: Arena) -> str:
    async with arena.redis_lock:
        arena.redis.freeze()
        await asyncio.sleep(arena.outage_seconds)
        arena.redis.thaw()
    return f"for {arena.outage_seconds:g} s"


async def _wipe(arena: Arena) -> str:
    async with arena.redis_lock:
        with arena.redis.client() as client:
            keys = await asyncio.to_thread(client.dbsize)
            await asyncio.to_thread(client.flushall)
    return f"{keys} keys"


async def _cut(arena: Arena) -> str:
    async with arena.redis_lock:
        with arena.redis.client() as client, suppress(RedisError):
            cut = sum(client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") for kind in ("normal", "pubsub"))
    if arena.storage.valve is not None:
        await asyncio.to_thread(arena.storage.valve.cut)
    return f"{cut} of Redis, and the store's"


async def _store_down(arena: Arena) -> str:
    assert arena.storage.valve is not None
    async with arena.storage_lock:
        await asyncio.to_thread(arena.storage.valve.shut)
        await asyncio.sleep(arena.outage_seconds)
        await asyncio.to_thread(arena.storage.valve.open)
    return f"for {arena.outage_seconds:g} s"


async def _store_busy(arena: Arena) -> str:
    assert arena.storage.valve is not None
    async with arena.storage_lock:
        share, seconds, before = arena.chance.choice((0.3, 0.6, 1.0)), arena.chance.uniform(1, 5), arena.storage.valve.refused
        await asyncio.to_thread(arena.storage.valve.busy, share)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(arena.storage.valve.open)
    return f"{share:.0%} for {seconds:.1f} s, {arena.storage.valve.refused - before} answers"


WIPE = "FLUSHALL"
STORE = {"store down": (3, _store_down), "store answers 503": (4, _store_busy)}
FAULTS: dict[str, tuple[int, Deed]] = {
    # Each with how often in five minutes.
    "SIGKILL pool child": (8, _signal("child", signal.SIGKILL)),
    "SIGKILL worker": (6, _signal("worker", signal.SIGKILL)),
    "SIGKILL API": (4, _signal("api", signal.SIGKILL)),
    "SIGKILL reconciler": (3, _signal("reconciler", signal.SIGKILL)),
    "SIGTERM pool child": (4, _signal("child", signal.SIGTERM)),
    "SIGTERM worker": (4, _signal("worker", signal.SIGTERM)),
    "SIGTERM API": (3, _signal("api", signal.SIGTERM)),
    "Redis SIGKILL": (4, _redis_dies),
    "Redis SIGSTOP": (2, _redis_freezes),
    "connections cut": (5, _cut),
    WIPE: (2, _wipe),
    **STORE,
}


@dataclass(slots=True)
class Fault:
    at_seconds: float
    name: str
    begun_at: float | None = None
    what: str = ""

    async def happen(self, arena: Arena) -> None:
        await asyncio.sleep(self.at_seconds)
        self.begun_at = time.time()
        self.what = await FAULTS[self.name][1](arena)


def schedule(chance: random.Random, seconds: float, *, with_store: bool) -> list[Fault]:
    """Each kind at least once, the wipe twice, spread over nine tenths of the time."""
    names = []
    for name, (often, _) in FAULTS.items():
        if with_store or name not in STORE:
            names += [name] * (2 if name == WIPE else max(1, round(often * seconds / FIVE_MINUTES)))
    chance.shuffle(names)
    step = 0.9 * seconds / len(names)
    return [Fault(step * (index + chance.random()), name) for index, name in enumerate(names)]
