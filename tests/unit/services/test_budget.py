import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.services.budget import BufferBudget

pytestmark = pytest.mark.anyio


async def settled():
    """Everything that can go on has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_what_is_left_is_given_at_once_and_more_waits_for_what_comes_back():
    budget = BufferBudget(10)
    first, second, third = budget.share(), budget.share(), budget.share()
    await first.take(6)
    await second.take(4)
    overdrawing = asyncio.create_task(third.take(5))
    waiting = asyncio.create_task(second.take(3))
    await settled()
    assert overdrawing.done(), "the first in line goes over the bound, so that somebody goes on"
    assert not waiting.done()
    first.close()
    await settled()
    assert not waiting.done(), "what came back pays the overdraft first"
    third.close()
    await waiting


async def test_who_came_first_is_served_first():
    budget = BufferBudget(10)
    holder, over = budget.share(), budget.share()
    await holder.take(10)
    await over.take(1)  # goes over the bound, and blocks the next from doing so
    order: list[int] = []

    async def want(number: int, size: int) -> None:
        await budget.share().take(size)
        order.append(number)

    tasks = [asyncio.create_task(want(number, size)) for number, size in enumerate([9, 1, 1])]
    await settled()
    assert order == [], "a small one does not overtake a large one"
    holder.give(5)
    tasks.append(asyncio.create_task(want(3, 1)))
    await settled()
    assert order == [], "nor does one that comes when there is room for it"
    holder.give(5)
    await settled()
    assert order == [0]
    over.close()
    await asyncio.gather(*tasks[:2])
    assert order[:2] == [0, 1]
    for task in tasks:
        task.cancel()


@settings(max_examples=120)
@given(st.integers(1, 20), st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=8), st.integers(0, 2**32))
def test_uploads_that_take_in_steps_all_finish_and_all_comes_back(limit, uploads, seed):
    async def scenario():
        budget = BufferBudget(limit)
        held = dict.fromkeys(range(len(uploads)), 0)
        finished = []

        async def upload(number: int, steps: list[int]) -> None:
            share = budget.share()
            try:
                for step in steps:
                    await share.take(step)
                    held[number] += step
                    over = sum(held.values()) - limit
                    assert over <= 0 or any(over <= held[other] for other in held), "more than one went over the bound"
                    for _ in range((seed >> number) % 3):
                        await asyncio.sleep(0)
            finally:
                held[number] = 0
                share.close()
            finished.append(number)

        await asyncio.wait_for(asyncio.gather(*(upload(number, steps) for number, steps in enumerate(uploads))), 20)
        assert sorted(finished) == list(range(len(uploads)))
        assert budget._left == limit
        assert budget._overdrawn is None

    asyncio.run(scenario())


@settings(max_examples=120)
@given(
    st.integers(1, 10),
    st.lists(st.tuples(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.booleans(), st.integers(0, 6)), min_size=2, max_size=7),
)
def test_uploads_that_are_cancelled_give_back_what_they_had_and_block_nobody(limit, uploads):
    async def scenario():
        budget = BufferBudget(limit)

        async def upload(steps):
            share = budget.share()
            try:
                for step in steps:
                    await share.take(step)
                    await asyncio.sleep(0)
            finally:
                share.close()

        tasks = [asyncio.create_task(upload(steps)) for steps, _, _ in uploads]
        for tick in range(7):
            for task, (_, dies, at) in zip(tasks, uploads, strict=True):
                if dies and at == tick:
                    task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert all(task.done() and (dies or task.exception() is None) for task, (_, dies, _) in zip(tasks, uploads, strict=True))
        assert budget._left == limit
        assert not budget._waiting
        await budget.share().take(limit)

    asyncio.run(scenario())


async def test_a_share_may_be_closed_twice():
    budget = BufferBudget(3)
    share = budget.share()
    await share.take(2)
    share.close()
    share.close()
    assert budget._left == 3
