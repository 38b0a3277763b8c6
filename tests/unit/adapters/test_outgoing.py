"""What goes out to Redis: together where it comes together, in order, and never late for long."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from app.adapters.redis.outgoing import Outgoing


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loops(request):
    """Runs a coroutine in a loop of each kind."""

    def run(work):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(work)

    return run


async def _written(turns: list[list[str]], idle: int = 20) -> list[str]:
    """What is written when so much is put in each turn of the loop."""
    written: list[str] = []
    outgoing = Outgoing[str](lambda commands: written.append("".join(commands)))
    for commands in [*turns, *[[]] * idle]:
        for command in commands:
            outgoing.put(command)
        await asyncio.sleep(0)
    return written


def test_what_comes_in_one_turn_is_one_write_in_order(loops):
    assert loops(_written([["a", "b", "c"]])) == ["abc"]


def test_what_comes_while_more_comes_joins_it(loops):
    assert loops(_written([["a"], ["b"], ["c"]])) == ["abc"]


def test_one_alone_is_not_held_for_others(loops):
    assert loops(_written([["a"]], idle=2)) == ["a"]


def test_a_stream_without_end_is_not_held_either(loops):
    written = loops(_written([["."]] * 100, idle=0))
    assert len(written) >= 10
    assert max(map(len, written)) <= 10


def test_after_a_write_it_begins_anew(loops):
    assert loops(_written([["a"], [], [], [], ["b", "c"]])) == ["a", "bc"]
