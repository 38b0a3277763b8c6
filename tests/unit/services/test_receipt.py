import asyncio
import json
from types import SimpleNamespace

import pytest

from app.domain.errors import Unavailable
from app.services import receipt
from tests.unit.api.asgi import GONE, WHO, multipart, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, CHANNEL, SOURCE, House
from tests.unit.services.channel import until

pytestmark = pytest.mark.anyio

URL = "/public/sources/upload-source"
CHUNK = 65536


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(receipt, "time", SimpleNamespace(monotonic=made))  # the loop keeps its own
    return made


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


@pytest.fixture
def heard(house, monkeypatch):
    """What the channel was told of bodies."""
    told = []

    async def receipts(owner, channel, event):
        assert (owner, channel) == (ADA, CHANNEL)
        told.append(json.loads(event.to_json()))

    monkeypatch.setattr(house.ledger, "receipt", receipts)
    return told


def made(house, size):
    return house.upload.receipt(ADA, CHANNEL, size)


async def test_a_body_is_told_of_twice_a_second_at_most_and_not_at_once(house, clock, heard):
    coming = made(house, 1000)
    for received in range(100, 1100, 50):
        coming.came(SOURCE, received)
        await asyncio.sleep(0)
        clock.now += 0.125
    await asyncio.sleep(0)
    assert [event["received"] for event in heard] == [300, 500, 700, 900]
    assert [event["stage-progress"] for event in heard] == [30, 50, 70, 90]
    assert {(event["event"], event["source-uuid"], event["stage"], event["size"]) for event in heard} == {("source.receiving", SOURCE, "receive", 1000)}


async def test_while_one_message_is_on_its_way_the_body_goes_on_without_another(house, clock, monkeypatch):
    go_on, asked = asyncio.Event(), []

    async def slow(_owner, _channel, event):
        asked.append(event.received)
        await go_on.wait()

    monkeypatch.setattr(house.ledger, "receipt", slow)
    coming = made(house, None)
    for received in range(10):
        clock.now += 1
        coming.came(SOURCE, received)
        await asyncio.sleep(0)
    assert asked == [0]
    go_on.set()
    await until(coming._saying.done)
    clock.now += 1
    coming.came(SOURCE, 99)
    await until(lambda: asked == [0, 99])


async def test_redis_away_is_silent(house, clock, monkeypatch):
    async def away(*_):
        raise Unavailable("redis_unavailable")

    monkeypatch.setattr(house.ledger, "receipt", away)
    coming = made(house, 10)
    clock.now += 1
    coming.came(SOURCE, 5)
    await until(coming._saying.done)
    assert coming._saying.exception() is None
    coming.end()


async def test_what_is_on_its_way_at_the_end_of_the_body_is_dropped(house, clock, monkeypatch):
    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(house.ledger, "receipt", never)
    coming = made(house, 10)
    clock.now += 1
    coming.came(SOURCE, 5)
    await asyncio.sleep(0)
    for _ in range(2):
        coming.end()
    await until(coming._saying.cancelled)


# ------------------------------------------------------------------------------------------------ of a form


async def send(house, parts, *, end=None, length=True):
    body, content_type = multipart(*parts)
    chunks = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    headers = WHO | {"content-type": content_type} | ({"content-length": str(len(body))} if length else {})
    answer = await request(application(house), "POST", URL, [*chunks[:-1], end] if end else chunks, headers=headers)
    await asyncio.sleep(0)
    return answer, len(body)


@pytest.fixture
def at_each_chunk(monkeypatch):
    monkeypatch.setattr(receipt, "_SECONDS", 0)


WS, ID, FILE = ("ws-uuid", CHANNEL), ("source-uuid", SOURCE), ("file", b"x" * (2 * 1024 * 1024), "a.bin")


@pytest.mark.parametrize("length", [True, False])
async def test_a_long_body_is_told_of_as_it_comes(house, heard, at_each_chunk, length):
    answer, size = await send(house, [WS, ID, FILE], length=length)
    assert answer.status == 200
    assert len(heard) > 10
    received = [event["received"] for event in heard]
    assert received == sorted(set(received))
    assert received[0] == CHUNK
    assert all(event["source-uuid"] == SOURCE for event in heard)
    if length:
        assert [event["stage-progress"] for event in heard] == [100 * each // size for each in received]
    else:
        assert not any(event.keys() & {"size", "stage-progress"} for event in heard)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([WS, ID, FILE], True),
        ([ID, FILE, WS], False),
        ([WS, FILE, ID], False),
        ([WS, ("source-uuid", "a/b"), FILE], False),
        ([WS, ID, ("file", b"x" * 200_000, "a.bin")], False),
    ],
)
async def test_of_a_short_body_and_of_one_whose_ids_are_not_known_yet_nothing_is_said(house, heard, at_each_chunk, parts, told):
    await send(house, parts)
    assert bool(heard) is told


async def test_each_of_several_files_is_told_of_while_it_comes(house, heard, at_each_chunk):
    await send(house, [WS, ID, ("source-uuid", "s-2"), FILE, FILE])
    sources = [event["source-uuid"] for event in heard]
    assert sources == sorted(sources, key=[SOURCE, "s-2"].index)
    assert set(sources) == {SOURCE, "s-2"}
    percents = [event["stage-progress"] for event in heard]
    assert percents == sorted(percents)


async def test_a_body_that_is_cut_just_stops(house, heard, at_each_chunk):
    answer, _ = await send(house, [WS, ID, FILE], end=GONE)
    assert (answer.status, len(heard) > 10) == (499, True)
    assert house.ledger.told_events() == []
    assert await house.ledger.latest_progress(ADA, CHANNEL) == []
    assert await house.ledger.record(ADA, SOURCE) is None
    assert not [task for task in asyncio.all_tasks() if "_say" in repr(task)]
