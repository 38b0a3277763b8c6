"""Whatever is meant of an owner's sources, page by page; what one run again does is in test_runs.py."""

import pytest

from app.domain.errors import RateLimited
from app.domain.layout import object_key, result_key
from app.domain.selection import Selection
from app.domain.source import State
from app.protocol import inbox
from tests.unit.doubles import ADA, EVE, House, a_failure, a_record, a_success

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


def ended(house, source, make=a_success, owner=ADA, **more):
    record = house.stage(a_record(source, upload=f"u-{source}"))
    assert house.inner.create(result_key(owner, source, 1), make(record, **more).to_json())
    return record


async def reprocess(house, selection=None, *, after="", limit=100, owner=ADA, room=None):
    asked = []

    async def has_room(count):
        asked.append(count)

    answers, following = await house.reprocess(owner, selection or Selection(), after=after, limit=limit, base_url="http://now", room=room or has_room)
    assert room or asked == [len(answers)]
    return {source: refusal and refusal.code for source, refusal in answers}, following


def runs(house, owner=ADA):
    return {source: inbox.read(house.inner, owner, source).run for source in inbox.sources_of(house.inner, owner)}


async def test_each_that_is_meant_is_run_again_once(house):
    for source, make in (("s-1", a_success), ("s-2", a_failure), ("s-3", a_success)):
        ended(house, source, make)
    assert await reprocess(house, Selection(state=State.SUCCEEDED)) == ({"s-1": None, "s-3": None}, None)
    assert runs(house) == {"s-1": 2, "s-3": 2}
    assert await reprocess(house) == ({"s-2": None}, None)
    assert await reprocess(house) == ({}, None), "what is at work has not ended"
    assert runs(house) == {"s-1": 2, "s-2": 2, "s-3": 2}


async def test_a_walk_by_pages_comes_to_each_of_them(house):
    for number in range(5):
        ended(house, f"s-{number}")
    begun, cursor, pages = {}, "", 0
    while cursor is not None:
        found, cursor = await reprocess(house, after=cursor, limit=2)
        begun |= found
        pages += 1
    assert (sorted(begun), pages) == ([f"s-{number}" for number in range(5)], 3)


async def test_one_that_cannot_be_run_again_does_not_stop_the_others(house):
    for source in ("s-1", "s-2"):
        ended(house, source)
    house.inner.delete([object_key(ADA, "u-s-1")])
    assert await reprocess(house) == ({"s-1": "bytes_gone", "s-2": None}, None)


async def test_nothing_of_anybody_else_is_meant(house):
    ended(house, "s-1")
    assert await reprocess(house, owner=EVE) == ({}, None)
    assert runs(house) == {}


async def test_without_room_for_all_none_begins(house):
    ended(house, "s-1")

    async def none(count):
        assert count == 1
        raise RateLimited(detail="", retry_after_seconds=1)

    with pytest.raises(RateLimited):
        await reprocess(house, room=none)
    assert runs(house) == {}
