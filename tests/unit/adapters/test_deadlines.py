import asyncio

import pytest

from app.adapters.redis.deadlines import Deadlines

pytestmark = pytest.mark.anyio

SECONDS = 0.05


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def over(deadlines):
    async with asyncio.timeout(10):
        while list(deadlines):
            await asyncio.sleep(0.005)


async def test_what_was_not_dropped_in_time_is_late_in_its_order_and_once():
    late = []
    deadlines = Deadlines(SECONDS, late.append)
    for item in "abcd":
        deadlines.add(item)
    deadlines.drop("b")
    deadlines.drop("b")
    assert (list(deadlines), late) == (["a", "c", "d"], [])
    await over(deadlines)
    assert late == ["a", "c", "d"]


async def test_what_comes_after_a_round_is_watched_again():
    late = []
    deadlines = Deadlines(SECONDS, late.append)
    for item in "ab":
        deadlines.add(item)
        await over(deadlines)
    assert late == ["a", "b"]


async def test_none_is_late_before_its_time():
    loop, began, late = asyncio.get_running_loop(), {}, {}
    deadlines = Deadlines(SECONDS, lambda item: late.setdefault(item, loop.time()))
    for item in range(20):
        began[item] = loop.time()
        deadlines.add(item)
        await asyncio.sleep(0.007)
    await over(deadlines)
    assert all(late[item] - began[item] >= SECONDS - 0.002 for item in range(20)), "but for the loop's own clock"


async def test_what_is_late_may_drop_others_and_add_some():
    late = []

    def on_late(item):
        late.append(item)
        deadlines.drop("b")
        if item == "a":
            deadlines.add("c")

    deadlines = Deadlines(SECONDS, on_late)
    for item in "ab":
        deadlines.add(item)
    await over(deadlines)
    assert late == ["a", "c"]


async def test_one_timer_watches_all_and_none_is_left_behind(monkeypatch):
    loop = asyncio.get_running_loop()
    timers, call_at = [], loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *args, **named: timers.append(call_at(*args, **named)) or timers[-1])
    deadlines = Deadlines(30, lambda _: None)
    for item in range(1000):
        deadlines.add(item)
        deadlines.drop(item)
    assert (len(timers), list(deadlines)) == (1, [])
    timers[0].cancel()
