"""Questions over one connection, against a server that misbehaves on command; tests/contract has a real one."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from tests.unit.adapters.echo_redis import Echo

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
async def server(anyio_backend):
    async with Echo() as made:
        yield made


@pytest.fixture
async def commands(server):
    made = Commands(RedisLocation(server.url, 0.2))
    yield made
    await made.close()


async def test_each_question_gets_its_own_answer_over_one_connection(server, commands):
    answers = await asyncio.gather(*(commands("ECHO", str(number)) for number in range(100)))
    assert answers == [b"%d" % number for number in range(100)]
    assert server.connections == 1


async def test_who_gives_up_leaves_the_answers_of_the_others_in_order(server, commands):
    await commands("ECHO", "first")
    asking = [asyncio.create_task(commands("ECHO", str(number))) for number in range(3)]
    await asyncio.sleep(0)
    asking[1].cancel()
    await asyncio.wait(asking)
    assert (asking[0].result(), asking[2].result()) == (b"0", b"2")
    assert await commands("ECHO", "last") == b"last"
    assert server.connections == 1


async def test_an_error_is_of_its_question_alone(commands):
    refused, answered = await asyncio.gather(commands("ECHO", "OOM command not allowed"), commands("ECHO", "b"), return_exceptions=True)
    assert type(refused) is ResponseError
    assert str(refused) == "OOM command not allowed"
    assert answered == b"b"


async def test_a_question_whose_connection_was_lost_is_asked_once_more_on_a_new_one(server, commands):
    await commands("ECHO", "a")
    server.cuts = 1
    assert await commands("ECHO", "b") == b"b"
    assert server.asked == [b"a", b"b", b"b"]


async def test_a_question_is_not_asked_a_third_time(server, commands):
    server.cuts = 3
    with pytest.raises(RedisConnectionError):
        await commands("ECHO", "a")
    assert server.asked == [b"a", b"a"]


async def test_a_connection_that_was_lost_while_idle_costs_nothing(server, commands):
    await commands("ECHO", "a")
    server.cut()
    while server.connections:
        await asyncio.sleep(0)
    assert await commands("ECHO", "b") == b"b"


async def test_a_late_answer_is_an_error_for_all_who_wait_and_is_not_asked_again(server, commands):
    await commands("ECHO", "a")
    server.silent = True
    late = await asyncio.gather(commands("ECHO", "b"), commands("ECHO", "c"), return_exceptions=True)
    assert [type(each) for each in late] == [RedisTimeoutError, RedisTimeoutError]
    server.silent = False
    assert await commands("ECHO", "d") == b"d", "on a new connection, or it would get the answer of another"
    assert server.asked == [b"a", b"b", b"c", b"d"]


async def test_an_answer_that_keeps_coming_is_not_late(server):
    """A page of history over a slow link, say."""
    commands = Commands(RedisLocation(server.url, 1))
    await commands("ECHO", "a")
    server.silent = True
    asking = asyncio.create_task(commands("ECHO", "abc"))
    while server.asked != [b"a", b"abc"]:
        await asyncio.sleep(0.001)
    for piece in (b"$3\r\n", b"a", b"bc", b"\r\n"):
        await asyncio.sleep(0.3)  # all of them take longer than the timeout
        for writer in server._writers:
            writer.write(piece)
    assert await asking == b"abc"
    assert server.asked == [b"a", b"abc"]
    await commands.close()


async def test_a_loop_that_was_held_up_reads_before_it_says_that_nothing_came(server, commands):
    await commands("ECHO", "a")
    asking = asyncio.create_task(commands("ECHO", "b"))
    while server.asked != [b"a", b"b"]:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.3
    while loop.time() < until:  # longer than the timeout
        pass
    assert await asking == b"b"


async def test_an_answer_that_nobody_asked_for_ends_the_connection(server, commands):
    await commands("ECHO", "a")
    for writer in server._writers:
        writer.write(b"+WHAT\r\n")
    while server.connections:
        await asyncio.sleep(0.001)
    assert await commands("ECHO", "b") == b"b"


async def test_what_is_no_answer_at_all_ends_the_connection(server, commands):
    await commands("ECHO", "a")
    server.silent = True
    asking = asyncio.create_task(commands("ECHO", "b"))
    while server.asked != [b"a", b"b"]:
        await asyncio.sleep(0.001)
    server.silent = False
    for writer in server._writers:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n")
    assert await asking == b"b", "asked again"


async def test_nobody_there_is_an_error_at_each_question_and_no_hindrance_later():
    async with Echo() as server:
        url = server.url
    commands = Commands(RedisLocation(url, 0.2))
    for _ in range(2):
        both = await asyncio.gather(commands("ECHO", "a"), commands("ECHO", "b"), return_exceptions=True)
        assert [isinstance(each, RedisConnectionError | OSError) for each in both] == [True, True]
    await commands.close()


async def test_who_gives_up_while_the_connection_is_opened_hinders_nobody(commands):
    asking = [asyncio.create_task(commands("ECHO", str(number))) for number in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert await asking[1] == b"1"


async def test_closing_fails_who_waits_for_a_connection(server):
    commands = Commands(RedisLocation(server.url, 20))
    asking = asyncio.create_task(commands("ECHO", "a"))
    await asyncio.sleep(0)
    await commands.close()
    with pytest.raises(RedisConnectionError):
        await asking


async def test_closing_fails_what_waits_and_what_comes_later(server):
    commands = Commands(RedisLocation(server.url, 20))
    await commands("ECHO", "a")
    server.silent = True
    asking = asyncio.create_task(commands("ECHO", "b"))
    while server.asked != [b"a", b"b"]:
        await asyncio.sleep(0.001)
    await commands.close()
    for question in (asking, commands("ECHO", "c")):
        with pytest.raises(RedisConnectionError):
            await question
    while server.connections:
        await asyncio.sleep(0.001)
