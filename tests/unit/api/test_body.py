import asyncio

import pytest

from app.api.deps import LEAST_BYTES_PER_SECOND, BodyCut, body
from app.domain.errors import RequestTimeout

pytestmark = pytest.mark.anyio


class Sender:
    """A request whose chunks come after pauses, in a time of the test's own."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    async def receive(self):
        pause, chunk = self.chunks.pop(0)
        await asyncio.sleep(pause)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}


async def read(*chunks, stall_seconds):
    return b"".join([chunk async for chunk in body(Sender(*chunks), stall_seconds=stall_seconds)])


async def test_a_body_comes_as_it_was_sent():
    assert await read((0, b"a"), (0, b""), (0, b"b"), stall_seconds=10) == b"ab"


async def test_a_client_that_goes_is_a_cut():
    with pytest.raises(BodyCut):
        await read((0, b"a"), (0, None), stall_seconds=10)


async def test_a_body_that_stops_is_given_up():
    with pytest.raises(RequestTimeout, match="stopped"):
        await read((0, b"a"), (60, b"b"), stall_seconds=0.05)


async def test_a_byte_now_and_then_is_given_up():
    with pytest.raises(RequestTimeout, match="slowly"):
        await read(*[(0.1, b"a")] * 2000, stall_seconds=1)


async def test_what_comes_moves_the_deadline_on():
    chunk = b"a" * LEAST_BYTES_PER_SECOND
    assert len(await read(*[(0.2, chunk)] * 8, stall_seconds=1)) == 8 * len(chunk)


async def test_the_time_that_we_take_is_not_the_clients():
    received = 0
    async for chunk in body(Sender(*[(0, b"a")] * 5), stall_seconds=1):
        await asyncio.sleep(0.3)
        received += len(chunk)
    assert received == 5
