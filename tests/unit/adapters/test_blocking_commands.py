"""Questions from threads, against a server that misbehaves on command; tests/contract has a real one."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.client import RedisLocation
from tests.unit.adapters.echo_redis import Echo

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def server(anyio_backend):
    async with Echo() as made:
        yield made


@pytest.fixture
async def ask(server):
    made = BlockingCommands(RedisLocation(server.url, 0.2))

    async def asking(text):
        return await asyncio.to_thread(made, "ECHO", text)

    yield asking
    made.close()


async def test_the_next_question_goes_over_the_same_connection(server, ask):
    assert [await ask("a"), await ask("b")] == [b"a", b"b"]
    assert server.connections == 1


async def test_who_asks_at_the_same_time_has_a_connection_for_himself(server, ask):
    assert await asyncio.gather(*(ask(str(number)) for number in range(8))) == [b"%d" % number for number in range(8)]
    assert 1 <= server.connections <= 8
    await ask("more")
    assert server.connections <= 8


async def test_an_error_is_an_answer_and_its_connection_is_kept(server, ask):
    with pytest.raises(ResponseError, match="not allowed"):
        await ask("OOM command not allowed")
    assert await ask("b") == b"b"
    assert server.connections == 1


async def test_a_lost_question_is_asked_once_more_and_all_idle_connections_are_left(server, ask):
    await asyncio.gather(*(ask(str(number)) for number in range(4)))
    server.cuts = 1
    assert await ask("again") == b"again"
    assert server.asked.count(b"again") == 2
    assert server.connections == 1


async def test_no_question_is_asked_three_times(server, ask):
    server.cuts = 2
    with pytest.raises(RedisConnectionError):
        await ask("a")
    assert server.asked == [b"a", b"a"]
    assert await ask("b") == b"b"


async def test_an_answer_that_comes_late_is_nobody_elses(server, ask):
    await ask("first")
    server.silent = True
    with pytest.raises(RedisTimeoutError):
        await ask("late")
    server.silent = False
    assert await ask("next") == b"next"


async def test_who_is_interrupted_leaves_no_answer_to_the_next(server, monkeypatch):
    """A time limit is raised into whatever the thread does."""
    commands = BlockingCommands(RedisLocation(server.url))
    await asyncio.to_thread(commands, "ECHO", "first")

    def interrupted():
        monkeypatch.undo()
        raise InterruptedError

    monkeypatch.setattr(commands._idle[0], "read_response", interrupted)
    with pytest.raises(InterruptedError):
        await asyncio.to_thread(commands, "ECHO", "a")
    assert await asyncio.to_thread(commands, "ECHO", "b") == b"b"
    commands.close()


async def test_connections_may_be_lost_as_often_as_they_like(server, ask):
    """redis-py's pool makes a hundred."""
    for number in range(150):
        server.cuts = 1
        assert await ask(str(number)) == b"%d" % number
    assert len(server.asked) == 300
