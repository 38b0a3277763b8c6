"""Frames that leave in pieces: what a slow client has read in the end is whole, in order, and all of it, or it ends with 1013."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from tests.websocket.conversation import Address, handshake
from tests.websocket.echo_lines import echo_lines
from tests.websocket.frames import BINARY, TEXT, Event, Frame, Reader, code_of

pytestmark = pytest.mark.anyio

CLIENTS = 30


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


async def ask_much_and_read_late(chance: random.Random, address: Address, ready) -> bool:
    """Whether everything came."""
    loop = asyncio.get_running_loop()
    sizes = [chance.choice([0, 1, 125, 126, 3000, 65_536]) for _ in range(chance.choice([3, 30, 300]))]
    asked = [Frame(chance.choice([TEXT, BINARY]), b"%d " % number + b"x" * size) for number, size in enumerate(sizes)]
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader = Reader()
        events = list(reader.feed(await handshake(sock, address)))
        await ready(sock.getsockname())
        asking = asyncio.create_task(loop.sock_sendall(sock, b"".join(frame.masked() for frame in asked)))
        await asyncio.wait({asking}, timeout=chance.choice([0, 0.05, 0.2]))
        while len(said(events)) < len(asked) and not was_cut(events) and (chunk := await loop.sock_recv(sock, chance.choice([100, 1000, 1 << 16]))):
            events += reader.feed(chunk)
        asking.cancel()
        await asyncio.wait({asking})
        _ = asking.cancelled() or asking.exception()
    heard = said(events)
    assert [event.payload for event in heard] == [frame.payload for frame in asked[: len(heard)]]
    assert was_cut(events) or len(heard) == len(asked)
    return not was_cut(events)


def said(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind in {"text", "binary"}]


def was_cut(events: list[Event]) -> bool:
    return any(code_of(event.payload) == 1013 for event in events if event.kind == "close")


@pytest.mark.parametrize("tier", ["parked", "handed off"])
async def test_what_is_read_is_whole(anyio_backend, tier):
    seed = random.randrange(1 << 32)
    print(f"{seed=}")
    async with echo_lines(tier, send_buffer_bytes=4096) as (address, application), asyncio.timeout(60):
        asking = (ask_much_and_read_late(random.Random(seed + number), address, application.ready) for number in range(CLIENTS))
        outcomes = await asyncio.gather(*asking)
        await application.emptied()
    assert application.gone == [1] * CLIENTS
    assert any(outcomes)
