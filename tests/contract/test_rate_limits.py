"""Quotas, sentence by sentence of ports.RateLimits, over memory and Redis."""

import asyncio

import pytest

from app.adapters.memory_rate_limits import MemoryRateLimits
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.rate_limits import RedisRateLimits
from app.domain.errors import Unavailable
from app.domain.quota import Kind
from tests import redis_users
from tests.servers import Valkey

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "redis"])
async def limits(request, anyio_backend, redis_prefix):
    if request.param == "memory":
        yield MemoryRateLimits()
        return
    redis = Commands(RedisLocation(redis_users.url(request.getfixturevalue("valkey"), "api")))
    yield RedisRateLimits(redis, Keyspace(redis_prefix))
    await redis.close()


async def taken(limits, *args, **more):
    return (await limits.take(*args, **more)).counted


async def test_so_much_may_be_taken_and_no_more(limits):
    assert [await taken(limits, Kind.UPLOADS, "ada", 3) for _ in range(5)] == [True, True, True, False, False]


async def test_what_is_refused_is_not_counted(limits):
    assert not await taken(limits, Kind.BYTES, "ada", 100, cost=101)
    assert await taken(limits, Kind.BYTES, "ada", 100, cost=60)
    assert not await taken(limits, Kind.BYTES, "ada", 100, cost=60)
    assert await taken(limits, Kind.BYTES, "ada", 100, cost=40)


async def test_kinds_and_owners_are_counted_apart(limits):
    assert await taken(limits, Kind.UPLOADS, "ada", 1)
    assert await taken(limits, Kind.REGISTRATIONS, "ada", 1)
    assert await taken(limits, Kind.UPLOADS, "eve", 1)
    assert not await taken(limits, Kind.UPLOADS, "ada", 1)


async def test_the_standing_tells_what_is_left(limits):
    for cost, left in ((4, 1), (2, 1), (1, 0), (1, 0)):
        standing = await limits.take(Kind.UPLOADS, "ada", 5, cost=cost)
        assert (standing.remaining, 1 <= standing.reset_seconds <= 60) == (left, True)


async def test_of_all_who_take_at_once_as_many_win_as_there_is_room_for(limits):
    answers = await asyncio.gather(*(taken(limits, Kind.UPLOADS, "ada", 7) for _ in range(20)))
    assert sum(answers) == 7


async def test_a_token_brings_as_many_sources_as_it_may_and_each_again(limits):
    async def spend(source, token="t"):  # noqa: S107 - a name
        return await limits.spend(token, source, most=2, seconds=60)

    assert [await spend(source) for source in ("a", "b", "a", "c", "b", "c")] == [True, True, True, False, True, False]
    assert await spend("c", token="other")


async def test_of_all_who_spend_a_token_at_once_as_many_win_as_it_may_bring(limits):
    answers = await asyncio.gather(*(limits.spend("t", f"s-{n}", most=5, seconds=60) for n in range(20)))
    assert sum(answers) == 5


@pytest.mark.parametrize("windows_ago", [1, 2])
async def test_of_the_window_before_counts_what_still_reaches_into_this_one(valkey, redis_prefix, windows_ago):
    redis, keys = Commands(RedisLocation(valkey.url)), Keyspace(redis_prefix)
    while (now := int((await redis("TIME"))[0])) % 60 > 56:  # the window must not change under the test
        await asyncio.sleep(0.1)
    await redis("HSET", keys.quota("ada", Kind.UPLOADS), "window", now // 60 - windows_ago, "count", 60, "before", 60)
    limits = RedisRateLimits(redis, keys)
    counts = 60 - now % 60 if windows_ago == 1 else 0  # one a second was taken, each for a minute
    refused = await limits.take(Kind.UPLOADS, "ada", 100, cost=100 - counts + 3)
    assert not refused.counted
    assert 0 <= refused.remaining - (100 - counts) <= 2
    assert await taken(limits, Kind.UPLOADS, "ada", 100, cost=100 - counts)
    await redis.close()


async def test_redis_that_is_away_is_unavailable():
    with Valkey() as server:
        redis = Commands(RedisLocation(server.url, timeout_seconds=0.5))
    limits = RedisRateLimits(redis, Keyspace("p:"))
    for call in (limits.take(Kind.UPLOADS, "ada", 1), limits.spend("t", "s", most=1, seconds=1)):
        with pytest.raises(Unavailable):
            await call
    await redis.close()


async def test_every_key_is_ours_and_goes():
    with Valkey() as server:
        redis = Commands(RedisLocation(server.url))
        limits = RedisRateLimits(redis, Keyspace("p:"))
        await limits.take(Kind.BYTES, "ada", 10)
        await limits.spend("t", "s", most=1, seconds=60)
        names = await redis("KEYS", "*")
        left = [await redis("TTL", name) for name in names]
        await redis.close()
    assert (len(names), all(name.startswith(b"p:") for name in names), min(left) > 0) == (2, True, True)
