import asyncio
import threading

import pytest

from app.services import health
from tests.unit.doubles import House

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


async def parts(house):
    return [(each.part, each.code) for each in await house.health.away()]


async def test_nothing_is_away(house):
    assert await parts(house) == []


async def test_each_part_that_is_away_is_named_with_its_reason(house):
    house.ledger.away = True
    assert await parts(house) == [("redis", "redis_unavailable")]
    house.store.refuse_all = {"stat"}
    assert await parts(house) == [("redis", "redis_unavailable"), ("storage", "storage_unavailable")]
    house.ledger.away = False
    house.store.refuse_all = set()
    assert await parts(house) == []


async def test_all_who_ask_at_once_share_one_look(house):
    await asyncio.gather(*(house.health.away() for _ in range(20)))
    assert house.store.calls.count("stat") == 1


async def test_a_store_that_does_not_answer_is_away_and_takes_one_thread_however_often_it_is_asked(house, monkeypatch):
    monkeypatch.setattr(health, "_LONGEST_SECONDS", 0.1)
    let_go, began = threading.Event(), []

    def hangs(key):
        began.append(key)
        assert let_go.wait(30)

    monkeypatch.setattr(house.inner, "stat", hangs)
    try:
        for _ in range(5):
            assert await parts(house) == [("storage", "storage_unavailable")]
        assert len(began) == 1
    finally:
        let_go.set()
    async with asyncio.timeout(10):
        while await parts(house):
            await asyncio.sleep(0.01)
