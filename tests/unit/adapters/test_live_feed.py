"""The live feed against a server that misbehaves on command; tests/integration/test_live_feed.py has a real one."""

import asyncio
import contextlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.events import LiveTerms, RedisLiveFeed
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.live_connection import LiveConnection
from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId
from tests.unit.adapters.scripted_redis import ScriptedRedis, acknowledgement, bulk

pytestmark = pytest.mark.anyio

KEYS = Keyspace("p:")
OWNER = OwnerId("o")
SOON = LiveTerms(acknowledge=20, beat=0.02, silence=20, pause=0.001, longest_pause=0.01)


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    """On both loops: the API runs on uvloop where there is one."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def name(channel: str) -> bytes:
    return KEYS.live(OWNER, ChannelId(channel)).encode()


async def until(what):
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.001)


class Listening:
    """A feed that runs, and what it told. `misses` counts how often anything may have been missed."""

    def __init__(self, url: str, terms: LiveTerms) -> None:
        self.commands = Commands(RedisLocation(url, 5))
        self.feed = RedisLiveFeed(RedisLocation(url, 5), KEYS, self.commands, terms)
        self.heard: list[tuple[str, bytes]] = []
        self.misses = 0
        self.watched: set[tuple[OwnerId, ChannelId]] = set()

    def _tell(self, _owner, channel, body):
        self.heard.append((channel, body))

    def _missed(self):
        self.misses += 1

    async def watch(self, channel: str) -> None:
        self.watched.add((OWNER, ChannelId(channel)))
        await self.feed.watch(OWNER, ChannelId(channel))

    def unwatch(self, channel: str) -> None:
        self.watched.discard((OWNER, ChannelId(channel)))
        self.feed.unwatch(OWNER, ChannelId(channel))

    async def __aenter__(self):
        self._running = asyncio.create_task(self.feed.run(self._tell, self._missed, lambda: self.watched))
        return self

    async def __aexit__(self, *_):
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        await self.commands.close()


@contextlib.asynccontextmanager
async def connected(server: ScriptedRedis, terms: LiveTerms = SOON):
    async with Listening(server.url, terms) as listening:
        await until(lambda: listening.misses == 1)  # when it is up, what was before it is missed
        yield listening


@pytest.fixture
async def server(anyio_backend):
    async with ScriptedRedis() as made:
        yield made


async def test_what_is_published_on_a_watched_channel_is_told(server):
    async with connected(server) as listening:
        await listening.watch("a")
        server.publish(name("a"), b"m 1")
        server.publish(name("a"), b"m 2")
        await until(lambda: len(listening.heard) == 2)
        listening.unwatch("a")
        await until(lambda: server.commands[-1] == [b"UNSUBSCRIBE", name("a")] or [b"UNSUBSCRIBE", name("a")] in server.commands)
        assert (listening.heard, listening.misses) == ([("a", b"m 1"), ("a", b"m 2")], 1)


def certificate(folder):
    """A server's TLS context with a self-signed certificate for localhost, which is left in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
    signed = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem")
    return context


async def test_it_speaks_tls(anyio_backend, tmp_path):
    async with ScriptedRedis(tls=certificate(tmp_path)) as server:
        url = f"{server.url}?ssl_ca_certs={tmp_path / 'cert.pem'}&ssl_check_hostname=false"
        async with Listening(url, SOON) as listening:
            await until(lambda: listening.misses == 1)
            await listening.watch("a")
            server.publish(name("a"), b"m 1")
            await until(lambda: listening.heard)
            server.cut()
            await until(lambda: listening.misses == 2)
        async with Listening(server.url, replace(SOON, acknowledge=0.1)) as listening:
            with pytest.raises(Unavailable):
                await listening.watch("a")  # nobody vouches for the certificate


async def test_many_watches_at_once_cost_one_command(server):
    async with connected(server) as listening:
        await asyncio.gather(*(listening.watch(f"c{n}") for n in range(300)))
        assert [len(batch) for batch in server.batches] == [1, 300]


async def test_a_watch_waits_for_its_own_acknowledgement(server):
    async with connected(server) as listening:
        server.acknowledges = False
        first = asyncio.create_task(listening.watch("a"))
        await until(lambda: len(server.batches) == 2)
        assert not first.done()
        listening.unwatch("a")
        second = asyncio.create_task(listening.watch("a"))
        await until(lambda: len(server.batches) == 3)
        server.send(acknowledgement(name("a")))
        server.send(acknowledgement(name("a"), b"unsubscribe"))
        await asyncio.wait_for(first, 20)
        await asyncio.sleep(0.01)
        assert not second.done(), "that was the answer to the first"
        server.send(acknowledgement(name("a")))
        await asyncio.wait_for(second, 20)
        assert listening.misses == 1


async def test_a_subscription_that_is_not_acknowledged_is_unavailable_and_undone(server):
    async with connected(server, replace(SOON, acknowledge=0.05)) as listening:
        server.acknowledges = False
        with pytest.raises(Unavailable) as error:
            await listening.watch("a")
        assert error.value.code == "redis_unavailable"
        await until(lambda: [b"UNSUBSCRIBE", name("a")] in server.commands)


async def test_an_acknowledgement_that_nobody_asked_for_means_that_something_may_be_missed(server):
    async with connected(server) as listening:
        await listening.watch("a")
        server.send(acknowledgement(name("a")))
        await until(lambda: listening.misses == 2)


async def test_a_lost_connection_is_made_anew_with_all_channels_and_all_are_told(server):
    before = REGISTRY.get_sample_value("headrace_live_reconnects_total")
    async with connected(server) as listening:
        for channel in "ab":
            await listening.watch(channel)
        listening.unwatch("a")
        for times in range(2, 5):
            server.cut()
            await until(lambda times=times: listening.misses == times)
            assert set(server.batches[-1]) == {server.batches[0][0], name("b")}
        server.publish(name("b"), b"m 1")
        await until(lambda: listening.heard == [("b", b"m 1")])
    assert REGISTRY.get_sample_value("headrace_live_reconnects_total") == before + 3


async def test_nobody_is_told_to_read_before_the_channels_are_subscribed_again(server):
    async with connected(server) as listening:
        await listening.watch("a")
        server.acknowledges = False
        server.cut()
        await until(lambda: len(server.batches) == 3)
        await asyncio.sleep(0.02)
        assert listening.misses == 1
        for one in server.batches[-1]:
            server.send(acknowledgement(one))
        await until(lambda: listening.misses == 2)


async def test_nothing_is_told_while_something_may_be_missed_and_all_that_was_acknowledged_is_remembered(server):
    async with connected(server) as listening:
        await listening.watch("a")
        assert listening.feed._opening == {}, "nothing is kept of who is subscribed"
        server.acknowledges = False
        server.cut()
        await until(lambda: len(server.batches) == 3)
        server.send(acknowledgement(name("a")) + bulk(b"message", name("a"), b"p 1"))
        await asyncio.sleep(0.02)
        assert (listening.heard, listening.misses) == ([], 1)
        for one in set(server.batches[-1]) - {name("a")}:
            server.send(acknowledgement(one))
        await until(lambda: listening.misses == 2)
        server.publish(name("a"), b"p 2")
        await until(lambda: listening.heard)
        assert listening.heard == [("a", b"p 2")]


async def test_a_watch_during_an_outage_is_served_when_it_is_over(server):
    async with connected(server) as listening:
        server.acknowledges = False
        watching = asyncio.create_task(listening.watch("a"))
        await until(lambda: len(server.batches) == 2)
        server.acknowledges = True
        server.cut()
        await asyncio.wait_for(watching, 20)
        server.publish(name("a"), b"m 1")
        await until(lambda: listening.heard)


async def test_a_half_open_link_is_dropped_after_the_silence(server):
    async with connected(server, replace(SOON, silence=0.1)) as listening:
        await listening.watch("a")
        server.delivers = False  # the process' own messages come no more; nobody says that the connection is dead
        await until(lambda: listening.misses >= 2)
        server.delivers = True
        await until(lambda: name("a") in server.batches[-1])


async def test_a_link_on_which_only_our_own_messages_come_lives(server):
    async with connected(server, replace(SOON, silence=2)) as listening:
        await until(lambda: sum(command[0] == b"PUBLISH" for command in server.commands) > 5)
        assert listening.misses == 1


@pytest.mark.parametrize("garbage", [b"-NOPERM no permissions to access a channel\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["refused", "not redis"])
async def test_an_answer_that_is_an_error_or_no_answer_drops_the_connection(server, garbage):
    async with connected(server) as listening:
        server.send(garbage)
        await until(lambda: listening.misses == 2)


async def test_a_wrong_password_is_unavailable_and_is_tried_again(anyio_backend):
    async with ScriptedRedis(password=b"right") as server:
        url = server.url.replace("redis://", "redis://user:wrong@")
        async with Listening(url, replace(SOON, acknowledge=0.1)) as listening:
            with pytest.raises(Unavailable):
                await listening.watch("a")
            assert server.batches == []
            server.password = b"wrong"
            await until(lambda: listening.misses == 1)
            assert [b"AUTH", b"user", b"wrong"] in server.commands


async def test_a_server_that_is_not_there_is_tried_again_with_growing_pauses(anyio_backend, monkeypatch):
    pauses = []
    sleep = asyncio.sleep

    async def noting(seconds, *args):
        pauses.append(seconds)
        await sleep(0)

    async with ScriptedRedis() as server:
        url = server.url
    feed = RedisLiveFeed(RedisLocation(url, 1), KEYS, Commands(RedisLocation(url, 1)), LiveTerms(pause=1, longest_pause=8))
    monkeypatch.setattr(asyncio, "sleep", noting)
    running = asyncio.create_task(feed._supervise(lambda: None, set))
    while len(pauses) < 8:
        await sleep(0.001)
    running.cancel()
    for pause, mean in zip(pauses, [1, 2, 4, 8, 8, 8, 8, 8], strict=False):
        assert mean / 2 <= pause <= mean * 1.5
    assert len(set(pauses)) > 4, "with jitter"


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_frames_are_understood_however_they_are_cut(bodies, sizes):
    async def scenario():
        heard, unasked = [], []
        connection = LiveConnection(lambda name, body: heard.append((name, body)), lambda: unasked.append(1), 60)
        stream = b"".join(acknowledgement(b"n") + bulk(b"message", b"n", body) for body in bodies)
        turn = 0
        while stream:
            size = sizes[turn % len(sizes)]
            connection.data_received(stream[:size])
            stream, turn = stream[size:], turn + 1
        assert heard == [(b"n", body) for body in bodies]
        assert len(unasked) == len(bodies)

    asyncio.run(scenario())
