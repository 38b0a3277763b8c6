import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from app.adapters.redis.breaker import Breaker
from app.domain.errors import Unavailable
from app.telemetry.metrics import REDIS_OPEN, REDIS_REFUSED, REDIS_TRIPS

pytestmark = pytest.mark.anyio

SECONDS = 0.05


class Server:
    """Answers, or with `frozen` does not, until it thaws."""

    def __init__(self):
        self.asked = 0
        self.probed = 0
        self._thawed = asyncio.Event()
        self._thawed.set()

    def freeze(self):
        self._thawed.clear()

    def thaw(self):
        self._thawed.set()

    async def ask(self):
        self.asked += 1
        await self._thawed.wait()
        return "answer"

    async def probe(self):
        self.probed += 1
        await self._thawed.wait()


@pytest.fixture
async def server(anyio_backend):
    return Server()


@pytest.fixture
async def breaker(server):
    made = Breaker(server.probe, timeout_seconds=SECONDS)
    yield made
    await made.close()


async def closed(breaker):
    async with asyncio.timeout(10):
        while breaker.is_open:
            await asyncio.sleep(0.005)


def count(metric):
    return metric._value.get()


async def test_while_the_server_answers_every_call_goes_through(server, breaker):
    assert await asyncio.gather(*(breaker(server.ask) for _ in range(50))) == ["answer"] * 50
    assert (server.asked, server.probed, breaker.is_open) == (50, 0, False)


async def test_a_frozen_server_is_asked_by_one_call_and_by_none_after_it(server, breaker):
    trips, refused = count(REDIS_TRIPS), count(REDIS_REFUSED)
    server.freeze()
    with pytest.raises(TimeoutError):
        await breaker(server.ask)
    for _ in range(100):
        with pytest.raises(Unavailable):
            await breaker(server.ask)
    assert server.asked == 1
    assert (count(REDIS_TRIPS) - trips, count(REDIS_REFUSED) - refused, count(REDIS_OPEN)) == (1, 100, 1)


async def test_the_first_timeout_ends_all_calls_that_are_under_way(server):
    breaker = Breaker(server.probe, timeout_seconds=30)
    server.freeze()
    calls = [asyncio.create_task(breaker(server.ask)) for _ in range(20)]
    await asyncio.sleep(0)
    first = next(iter(breaker._under_way))
    first.reschedule(asyncio.get_running_loop().time())
    ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
    assert {type(each) for each in ended} == {TimeoutError}
    await breaker.close()


async def test_the_probe_closes_it_and_no_call_waits_for_that(server, breaker):
    server.freeze()
    with pytest.raises(TimeoutError):
        await breaker(server.ask)
    while server.probed < 2:  # it is tried again and again
        await asyncio.sleep(0.005)
    assert server.asked == 1
    server.thaw()
    await closed(breaker)
    assert await breaker(server.ask) == "answer"
    assert count(REDIS_OPEN) == 0


@pytest.mark.parametrize("error", [ResponseError("OOM command not allowed"), RedisConnectionError("refused"), OSError("refused")])
async def test_what_is_refused_at_once_opens_nothing(server, breaker, error):
    async def refused():
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            await breaker(refused)
    assert not breaker.is_open


async def test_a_probe_that_is_refused_goes_on_until_it_is_answered(server):
    answers = [RedisConnectionError("gone"), OSError("gone"), None]

    async def probe():
        if error := answers.pop(0):
            raise error

    breaker = Breaker(probe, timeout_seconds=SECONDS)
    server.freeze()
    with pytest.raises(TimeoutError):
        await breaker(server.ask)
    await closed(breaker)
    assert answers == []


async def test_a_call_that_is_given_up_by_its_caller_opens_nothing(server, breaker):
    server.freeze()
    call = asyncio.create_task(breaker(server.ask))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not breaker.is_open
    assert list(breaker._under_way) == []
