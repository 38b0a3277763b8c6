"""The live feed on a real server: whichever way it is reached, and whatever happens to it."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.events import LiveTerms, RedisLiveFeed
from app.adapters.redis.keys import Keyspace
from app.domain.ids import ChannelId, OwnerId
from tests.servers import Valkey

pytestmark = pytest.mark.anyio

OWNER, CHANNEL = OwnerId("o"), ChannelId("c")
TERMS = LiveTerms(beat=0.1, silence=0.6, longest_pause=0.2)


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class OnSocket(Valkey):
    """Reached over a Unix socket too."""

    def _command(self):
        return [*super()._command(), "--unixsocket", str(self._folder / "s")]

    @property
    def unix_url(self) -> str:
        return f"unix://{self._folder / 's'}"


@pytest.fixture
def server():
    with OnSocket(aof=True) as running:
        yield running


async def until(what, seconds=30):
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def listening(url, keys, terms=TERMS):
    heard, misses = [], []
    location = RedisLocation(url, 2)
    commands = Commands(location)
    feed = RedisLiveFeed(location, keys, commands, terms)
    watched = {(OWNER, CHANNEL)}
    running = asyncio.create_task(feed.run(lambda _owner, _channel, body: heard.append(body), lambda: misses.append(1), lambda: watched))
    try:
        await feed.watch(OWNER, CHANNEL)
        await until(lambda: misses)
        yield feed, heard, misses
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await commands.close()


def publish(server, keys, body, **options):
    with server.client(**options) as client:
        return client.publish(keys.live(OWNER, CHANNEL), body)


@pytest.mark.parametrize("way", ["tcp", "unix", "password", "user", "db"])
async def test_it_is_reached_in_every_way_that_a_url_can_name(server, redis_prefix, way):
    keys, options = Keyspace(redis_prefix), {}
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ann", "on", ">pa:ss/1", "~*", "&*", "+@all")
        if way == "password":
            admin.config_set("requirepass", "pw")
            options["password"] = "pw"
    url = {
        "tcp": server.url,
        "unix": f"{server.unix_url}?db=1",
        "password": server.url.replace("//", "//:pw@"),
        "user": server.url.replace("//", "//ann:pa%3Ass%2F1@"),
        "db": server.url.replace("/0", "/3"),
    }[way]
    async with listening(url, keys, LiveTerms()) as (_, heard, _):
        assert publish(server, keys, "m 1", **options) == 1
        await until(lambda: heard == [b"m 1"])


async def test_killed_connections_come_back_and_each_time_all_are_told(server, redis_prefix):
    keys = Keyspace(redis_prefix)
    async with listening(server.url, keys) as (_, heard, misses):
        with server.client() as admin:
            for times in range(2, 7):
                assert admin.client_kill_filter(_type="pubsub") == 1
                await until(lambda times=times: len(misses) == times)
        assert publish(server, keys, "m 1") == 1
        await until(lambda: heard == [b"m 1"])


async def test_it_outlives_the_server(server, redis_prefix):
    keys = Keyspace(redis_prefix)
    async with listening(server.url, keys) as (feed, heard, misses):
        server.kill()
        late = feed.watch(OWNER, ChannelId("late"))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
        await late
        await until(lambda: len(misses) == 2)
        assert publish(server, keys, "m 1") == 1
        await until(lambda: heard == [b"m 1"])


async def test_a_server_that_froze_is_given_up_and_all_are_told_when_it_is_back(server, redis_prefix):
    keys = Keyspace(redis_prefix)
    async with listening(server.url, keys) as (feed, heard, misses):
        server.freeze()
        try:
            await until(lambda: feed._connection is None)
        finally:
            server.thaw()
        await until(lambda: len(misses) >= 2)
        assert publish(server, keys, "m 1") == 1, "the old subscription is gone"
        await until(lambda: heard == [b"m 1"])


async def test_without_our_own_messages_the_silence_would_be_taken_for_death(server, redis_prefix):
    async with listening(server.url, Keyspace(redis_prefix), replace(TERMS, beat=60)) as (_, _, misses):
        await until(lambda: len(misses) >= 2)
    async with listening(server.url, Keyspace(redis_prefix)) as (_, _, misses):
        await asyncio.sleep(3 * TERMS.silence)
        assert len(misses) == 1
