"""Readers that come and go while the live links of two API processes are cut again and again: what each of them hears is its channel, whole."""

import asyncio
import contextlib
import json
import random
import threading
import time

import pytest

from app.adapters.memory import MemoryObjectStore
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.events import LiveTerms, RedisLiveFeed
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import AsyncRedisLedger
from app.domain.ids import ChannelId, SourceId
from app.domain.source import State
from app.services.hub import Hub
from app.services.offload import Offload
from app.services.snapshots import Snapshots
from app.services.sources import Sources
from app.services.subscribe import Subscribe
from tests.ledgers import OWNER, RedisFaces, milestone, record, success, take
from tests.servers import Valkey
from tests.unit.doubles import announcer

SECONDS = 6
CHANNELS = [ChannelId(f"w-{number}") for number in range(20)]
READERS = 100


@contextlib.asynccontextmanager
async def api_process(url, prefix):
    """As much of one as serves readers."""
    location, calls = RedisLocation(url, 5), Calls(Keyspace(prefix), Terms(turns=len(CHANNELS)))
    redis = Commands(location)
    ledger = AsyncRedisLedger(redis, calls)
    hub = Hub(RedisLiveFeed(location, calls.keys, redis, LiveTerms(beat=0.2, silence=2)), ledger)
    store, offload = MemoryObjectStore(), Offload(2)
    running = asyncio.create_task(hub.run())
    try:
        subscribe = Subscribe(ledger, hub, Snapshots(ledger, Sources(store, ledger, offload, announcer()), store, offload))
        yield subscribe
        await subscribe.close()
        assert hub._rooms == {}
    finally:
        running.cancel()
        await asyncio.wait({running})
        await ledger.close()
        offload.close()


class Reader:
    """Comes and goes until `over`, then stays to the end. `sessions` are the offsets that it heard each time."""

    def __init__(self, processes, channel):
        self.processes, self.channel = processes, channel
        self.sessions: list[list[tuple[str, str]]] = []

    async def run(self, over: asyncio.Event):
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.01, 1.5)):
                    await self.listen()
            await asyncio.sleep(random.uniform(0, 0.1))
        async with asyncio.timeout(60):
            await self.listen()

    async def listen(self):
        heard = []
        self.sessions.append(heard)
        async with contextlib.aclosing(random.choice(self.processes)(OWNER, self.channel)) as messages:
            async for message in messages:
                event = json.loads(message)
                if "event-id" in event:
                    heard.append(int(event["event-id"].partition(":")[2]))


def write(ledger, seconds):
    """Milestones on all channels for so long, then their ends. Returns how many each channel has."""
    runs = [record(SourceId(f"s-{channel}"), ws=channel) for channel in CHANNELS]
    seqs = dict.fromkeys(CHANNELS, 1)
    for run in runs:
        ledger.accept(OWNER, run)
    fences = {run.ws_uuid: take(ledger, run)[0] for run in runs}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = random.choice(runs)
        seqs[run.ws_uuid] += 1
        assert ledger.append(OWNER, run, milestone(run), fence=fences[run.ws_uuid], attempt=1, seq=seqs[run.ws_uuid], stage=None)
        time.sleep(0.003)
    for run in runs:
        assert ledger.finish(OWNER, run, success(run), state=State.SUCCEEDED)
    return {channel: ledger.state(OWNER, channel).head for channel in CHANNELS}


@pytest.mark.timeout(180)
def test_readers_that_come_and_go_under_cuts_miss_nothing_and_hear_nothing_twice(redis_prefix):
    stop, cuts = threading.Event(), []

    def cut(server):
        with server.client() as admin:
            while not stop.wait(random.uniform(0.05, 0.4)):
                cuts.append(admin.client_kill_filter(_type="pubsub"))

    async def scenario(server, ledger):
        async with api_process(server.url, redis_prefix) as one, api_process(server.url, redis_prefix) as two:
            readers = [Reader([one, two], random.choice(CHANNELS)) for _ in range(READERS)]
            over = asyncio.Event()
            reading = [asyncio.create_task(reader.run(over)) for reader in readers]
            heads = await asyncio.to_thread(write, ledger, SECONDS)
            stop.set()  # each cut begins the linger anew
            over.set()
            await asyncio.gather(*reading)
        return readers, heads

    with Valkey() as server, server.client() as raw, RedisFaces("redis", server.url, redis_prefix, Terms(turns=len(CHANNELS)), raw) as ledger:
        for channel in CHANNELS:
            ledger.register(OWNER, channel, explicit=True)
        cutting = threading.Thread(target=cut, args=[server])
        cutting.start()
        try:
            readers, heads = asyncio.run(scenario(server, ledger))
        finally:
            stop.set()
            cutting.join()
    assert sum(cuts) > 10
    assert min(heads.values()) > 10
    for reader in readers:
        for heard in reader.sessions:
            assert heard == list(range(1, len(heard) + 1)), "in order, nothing missing, nothing twice"
        assert len(reader.sessions[-1]) == heads[reader.channel]
