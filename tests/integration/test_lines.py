"""Sockets on each tier, on uvicorn with each loop, before real clients: what is bounded, who is told of an end, what is left behind."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.api.http_protocol import HttpProtocol
from app.api.websocket import backlog
from app.api.websocket.framed import Framed
from app.api.websocket.lines import Lines
from app.main import Server
from app.telemetry.metrics import SOCKETS, SOCKETS_SILENT, SOCKETS_SLOW

pytestmark = pytest.mark.anyio

OURS = "app.api.websocket.protocol:SocketProtocol"
LOOPS = [pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"), pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")]
TIERS = {"parked": (OURS, True), "handed off": (OURS, False), "plain": ("websockets-sansio", False)}


@pytest.fixture(params=LOOPS)
def anyio_backend(request):
    return request.param


class House:
    """An endpoint as ours, and what became of each line."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.taken: list[Framed] = []
        self.gone: list[Framed] = []
        self.proceed = asyncio.Event()
        self.proceed.set()
        self.address = ("", 0)

    async def __call__(self, scope, receive, send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        line = self.lines.take(websocket)
        self.taken.append(line)
        await self.proceed.wait()
        line.on_gone = lambda: self.gone.append(line)
        await line.settle()

    def open(self, **more) -> connect:
        return connect(f"ws://127.0.0.1:{self.address[1]}/", proxy=None, compression=None, **more)

    def raw(self, *, buffer_bytes: int | None = None) -> socket.socket:
        """A client that does nothing by itself."""
        client = socket.socket()
        if buffer_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client.settimeout(20)
        client.connect(self.address)
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        return client

    async def line(self, number: int = 0) -> Framed:
        await until(lambda: len(self.taken) > number)
        return self.taken[number]

    async def at_rest(self, tier: str, number: int = 1) -> None:
        await until(lambda: on_tier(tier) == number)


async def until(holds) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def on_tier(tier: str) -> float:
    return SOCKETS.labels(tier.replace(" ", "_"))._value.get()


def descriptors() -> int:
    """Open ones of this process."""
    return len(list(Path("/dev/fd").iterdir()))


def masked(first: int, payload: bytes = b"") -> bytes:
    """A client's frame, under a mask of zeros."""
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


@asynccontextmanager
async def serving(tier: str, **config) -> AsyncIterator[House]:
    protocol, parks = TIERS[tier]
    lines = Lines(parks=parks)
    house = House(lines)
    server = Server(uvicorn.Config(house, http=HttpProtocol, ws=protocol, lifespan="off", log_config=None, **config), lines, drain_seconds=0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        house.address = listening.getsockname()
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield house
        finally:
            house.proceed.set()
            server.should_exit = True
            await running
            assert len(lines) == 0
            await until(lambda: len(house.gone) == len(house.taken))
            assert all(on_tier(each) == 0 for each in TIERS)


@pytest.fixture(params=TIERS)
def tier(request) -> str:
    return request.param


@pytest.fixture
async def serve(tier):
    async with AsyncExitStack() as stack:
        yield lambda **config: stack.enter_async_context(serving(tier, **config))


@pytest.fixture
async def house(serve) -> House:
    return await serve()


async def test_what_is_sent_comes_in_order_whatever_its_size(house, tier):
    async with house.open(max_size=None) as client:
        line = await house.line()
        await house.at_rest(tier)
        sent = ["x" * size for size in (0, 1, 125, 126, 65535, 65536, 100_000)] + [f"message {number}" for number in range(100)]
        for message in sent:
            await line.room()
            assert line.send(message.encode())
        assert [await client.recv() for _ in sent] == sent


async def test_a_client_that_closes_is_answered_and_told_of_once(house, tier):
    async with house.open() as client:
        await house.line()
        await house.at_rest(tier)
        await client.close(1000)
        assert client.close_code == 1000
    await until(lambda: house.gone == house.taken)
    assert not house.taken[0].is_open
    assert not house.taken[0].send(b"too late")
    house.taken[0].close(1000)
    house.taken[0].cut()
    await asyncio.sleep(0.05)
    assert house.gone == house.taken


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_client_that_vanishes_is_told_of_once(house, tier, how):
    with house.raw() as client:
        await house.line()
        await house.at_rest(tier)
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: house.gone == house.taken)
    assert len(house.lines) == 0


async def test_a_client_that_goes_before_its_line_is_settled_is_told_of_too(house):
    house.proceed.clear()
    with house.raw():
        line = await house.line()
    await asyncio.sleep(0.05)
    for _ in range(10):
        line.send(b"to nobody")
    assert house.gone == []
    house.proceed.set()
    await until(lambda: house.gone == house.taken)


async def test_our_close_comes_after_what_waits_and_is_answered(house, tier):
    async with house.open() as client:
        line = await house.line()
        await house.at_rest(tier)
        for number in range(50):
            line.send(f"{number}".encode())
        line.close(1000)
        assert not line.send(b"too late")
        got = []
        with pytest.raises(ConnectionClosed):
            while True:
                got.append(await client.recv())
        assert got == [f"{number}" for number in range(50)]
        assert client.close_code == 1000
    await until(lambda: house.gone == house.taken)


async def test_a_client_that_never_reads_is_gone_within_its_bound_and_delays_nobody(house, tier):
    slow = SOCKETS_SLOW._value.get()
    with house.raw(buffer_bytes=4096):
        stuck = await house.line()
        async with house.open() as client:
            line = await house.line(1)
            await house.at_rest(tier, 2)
            sent = 0
            while stuck.send(b"x" * 2000):
                sent += 1
                assert line.send(f"{sent}".encode())
                assert await client.recv() == f"{sent}"
                assert stuck.waiting <= backlog.MAX_MESSAGES
            assert sent > 100
            assert SOCKETS_SLOW._value.get() == slow + 1
            assert stuck.waiting > 50
            stuck.cut()
            await until(lambda: house.gone == [stuck])
            assert line.is_open


async def test_a_client_that_was_too_slow_is_told_to_come_again(house, tier):
    with house.raw(buffer_bytes=4096) as client:
        line = await house.line()
        await house.at_rest(tier)
        while line.send(b"x" * 2000):
            await asyncio.sleep(0)
        got = b""
        while chunk := await asyncio.to_thread(client.recv, 65536):
            got += chunk
            if got.endswith(close := b"\x88\x02" + struct.pack("!H", 1013)):
                client.sendall(masked(0x88, close[2:]))
        head, _, got = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        while got != close:  # whole frames, and then the close
            assert (got[:2], struct.unpack("!H", got[2:4])) == (b"\x81\x7e", (2000,))
            got = got[2004:]
    await until(lambda: house.gone == house.taken)


async def test_history_waits_for_a_slow_client_and_nothing_of_it_is_lost(house, tier):
    async with house.open(max_queue=1) as client:
        line = await house.line()
        await house.at_rest(tier)

        async def tell() -> None:
            for number in range(1000):
                assert line.send(f"{number:20000}".encode())
                await line.room()

        telling = asyncio.create_task(tell())
        await asyncio.sleep(0.1)
        assert not telling.done()
        assert [int(await client.recv()) for _ in range(1000)] == list(range(1000))
        await telling


async def test_who_waits_for_room_goes_on_when_the_client_has_gone(house, tier):
    with house.raw(buffer_bytes=4096):
        line = await house.line()
        await house.at_rest(tier)

        async def tell() -> None:
            while line.send(b"x" * 2000):
                await line.room()

        telling = asyncio.create_task(tell())
        await asyncio.sleep(0.1)
        assert not telling.done()
    async with asyncio.timeout(20):
        await telling


@pytest.mark.parametrize("tier", ["parked", "handed off"], indirect=True)
async def test_who_says_nothing_for_a_minute_is_cut_off_and_who_answers_pings_is_not(house, tier):
    silent = SOCKETS_SILENT._value.get()
    with house.raw():
        await house.line()
        async with house.open() as client:
            await house.line(1)
            await house.at_rest(tier, 2)
            for _ in range(12):  # visits to each line, five seconds apart
                for _ in range(5):
                    house.lines.visit()
                await (await client.ping())  # so the answers to our pings, which came before, are in
            assert house.gone == []
            for _ in range(5):
                house.lines.visit()
            await until(lambda: house.gone == house.taken[:1])
            assert SOCKETS_SILENT._value.get() == silent + 1
            await (await client.ping())


@pytest.mark.parametrize("tier", ["parked", "handed off"], indirect=True)
async def test_every_line_is_pinged_once_in_twenty_five_turns(house, tier):
    with house.raw() as client:
        await house.line()
        await house.at_rest(tier)
        assert (await asyncio.to_thread(client.recv, 65536)).endswith(b"\r\n\r\n")
        for _ in range(50):
            house.lines.visit()
        house.taken[0].close(1000)
        got = b""
        while not got.endswith(b"\x88\x02" + struct.pack("!H", 1000)):
            got += await asyncio.to_thread(client.recv, 65536)
        assert got.count(b"\x89\x00") == 2


async def test_a_process_that_stops_says_so_to_all_and_takes_none_that_comes_late(house, tier):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(house.open()) for _ in range(30)]
        await house.line(29)
        await house.at_rest(tier, 30)
        await house.lines.drain(0.2)
        assert len(house.lines) == 0
        for client in clients:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        late = await stack.enter_async_context(house.open())
        with pytest.raises(ConnectionClosed):
            await late.recv()
        assert late.close_code == 1012


async def test_who_does_not_answer_a_close_does_not_keep_a_process_up(house, tier):
    with house.raw():
        await house.line()
        await house.at_rest(tier)
        await house.lines.drain(0)
        await until(lambda: house.gone == house.taken)


async def test_nothing_is_left_behind(serve, tier):
    house = await serve()
    async with house.open() as client:
        await house.line()
        await (await client.ping())
    await until(lambda: len(house.lines) == 0)
    before = descriptors()
    for _ in range(20):
        async with house.open(), house.open():
            pass
        house.raw().close()
    await until(lambda: len(house.gone) == len(house.taken) == 61 and len(house.lines) == 0)
    assert house.lines._lot is None
    await until(lambda: descriptors() <= before)


@pytest.mark.parametrize("tier", ["parked"], indirect=True)
async def test_a_parked_socket_has_neither_transport_nor_task(house, tier):
    tasks = len(asyncio.all_tasks())
    with house.raw():
        line = await house.line()
        await house.at_rest("parked")
        assert line.wire is house.lines._lot
        await until(lambda: len(asyncio.all_tasks()) == tasks)


@pytest.mark.parametrize("tier", ["parked", "handed off"], indirect=True)
async def test_half_a_frame_is_kept_until_its_other_half_comes(house, tier):
    with house.raw() as client:
        line = await house.line()
        await house.at_rest(tier)
        said = []
        line.on_message = said.append
        for byte in masked(0x81, b"hello"):
            client.sendall(bytes((byte,)))
            await asyncio.sleep(0.002)
        await until(lambda: said == ["hello"])
        assert line._incoming is None


@pytest.mark.parametrize("tier", ["parked", "handed off"], indirect=True)
@pytest.mark.parametrize(("sent", "code"), [
    (b"\x81\x05hello", 1002), (masked(0x83), 1002), (masked(0xC1), 1002), (masked(0x81, b"\xff"), 1007), (masked(0x88, b"\x03\xe8\xff"), 1007),
    (b"\x81\xff" + (65537).to_bytes(8) + bytes(4) + bytes(65537), 1009),
])  # fmt: skip
async def test_who_breaks_the_protocol_is_told_how(serve, tier, sent, code):
    house = await serve(ws_max_size=65536)
    with house.raw() as client:
        await house.line()
        await house.at_rest(tier)
        client.sendall(sent + bytes(100_000))
        got = b""
        while chunk := await asyncio.to_thread(client.recv, 65536):
            got += chunk
        close = got.partition(b"\r\n\r\n")[2]
        assert (close[0], struct.unpack("!H", close[2:4])) == (0x88, (code,))
    await until(lambda: house.gone == house.taken)
