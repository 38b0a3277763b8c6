"""Many clients that come and go in any way: descriptors are used again and again, and nobody hears what was meant for another."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

import pytest

from tests.websocket.conversation import Address, handshake
from tests.websocket.echo_lines import EchoLines, echo_lines
from tests.websocket.frames import TEXT, Frame, Reader, closing

pytestmark = pytest.mark.anyio

CLIENTS, LIVES = 100, 8


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


async def live(chance: random.Random, name: bytes, address: Address) -> None:
    """One connection: says some things with its name in them, hears only such, and goes."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        rest = await handshake(sock, address)
        reader = Reader()
        heard = list(reader.feed(rest))
        for number in range(chance.randrange(6)):
            said = b"%s %d " % (name, number) + b"x" * chance.choice([0, 10, 200, 70_000])
            await loop.sock_sendall(sock, Frame(TEXT, said).masked())
            while not heard or heard[-1].payload != said:
                chunk = await loop.sock_recv(sock, 1 << 16)
                if not chunk or any(event.kind == "close" for event in heard):
                    return  # it was cut off or closed: see `disturb`
                heard += reader.feed(chunk)
        assert all(event.payload.startswith(name) or event.kind in {"ping", "close"} for event in heard)
        match chance.choice(["close", "hang up", "reset", "half a frame"]):
            case "close":
                await loop.sock_sendall(sock, closing(1000).masked())
                while await loop.sock_recv(sock, 1 << 16):
                    pass
            case "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "half a frame":
                await loop.sock_sendall(sock, Frame(TEXT, name).masked()[: chance.randrange(1, 9)])


async def disturb(chance: random.Random, application: EchoLines) -> None:
    """The server's own ways to end a connection."""
    while True:
        await asyncio.sleep(0.002)
        if lines := list(application.lines):
            line = chance.choice(lines)
            if chance.random() < 0.5:
                line.close(1012)
            else:
                line.cut()


@pytest.mark.parametrize("tier", ["parked", "handed off"])
async def test_each_hears_its_own(anyio_backend, tier):
    seed = random.randrange(1 << 32)
    print(f"{seed=}")

    async def lives(number: int) -> None:
        chance = random.Random(seed + number)
        for life in range(LIVES):
            try:
                await live(chance, b"%d-%d" % (number, life), address)
            except ConnectionError:
                continue  # cut off

    async with echo_lines(tier) as (address, application):
        disturbing = asyncio.create_task(disturb(random.Random(seed), application))
        async with asyncio.timeout(60), asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(lives(number))
        disturbing.cancel()
        await asyncio.wait_for(application.emptied(), 30)
    assert application.gone == [1] * (CLIENTS * LIVES)
