"""Thousands of WebSocket clients in a process of their own, which listen as browsers do: they offer permessage-deflate and answer pings."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import select
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, cast

import uvloop

_SOURCES = 4
"""Addresses that they come from, 127.0.0.2 and on: one has no more than 28,000 ports."""
_IP_BIND_ADDRESS_NO_PORT = 24
"""The port is chosen when both addresses are known, from those that are free for the two. Python has no name for it."""
_AT_ONCE = 64
"""Handshakes that are under way together."""
_HEAD = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "Origin: http://127.0.0.1:{port}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n\r\n"
)
_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of the milestones whose text is the moment of their publishing."""

    milliseconds: list[float]
    """From then to the arrival of each."""
    disordered: int
    """Of them, those whose offset was not the next one on its socket: lost before it, repeated, or out of order."""
    closed: dict[str, int]
    """Why sockets closed that we did not close: close code, or `eof`, and how often."""


class Crowd:
    """One socket a path, opened as `grow` says. All of them close at the end of the `with`."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, port, list(paths)), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def grow(self, count: int) -> float:
        """Until so many are open; seconds that it took. Raises RuntimeError: one was refused."""
        return cast("float", self._ask("grow", count))

    def heard(self, count: int, seconds: float) -> Heard:
        """Once so many milestones came since the last time, or after so many seconds."""
        return cast("Heard", self._ask("heard", count, seconds))

    def _ask(self, *question: Any) -> object:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Client(asyncio.Protocol):
    __slots__ = ("buffer", "number", "party", "transport")

    def __init__(self, party: _Party, number: int) -> None:
        self.party, self.number = party, number
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, _: Exception | None) -> None:
        self.party.closed["eof"] += 1

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data
        while len(buffer) >= 2:
            size, begin = buffer[1], 2
            if size == 126:
                size, begin = int.from_bytes(buffer[2:4]), 4
            elif size == 127:
                size, begin = int.from_bytes(buffer[2:10]), 10
            if len(buffer) < begin + size:
                break
            self.frame(buffer[0], buffer[begin : begin + size])
            buffer = buffer[begin + size :]
        self.buffer = buffer

    def frame(self, first: int, payload: bytes) -> None:
        if first == _TEXT:
            self.party.messages.append((time.time_ns(), self.number, payload))
        elif first == _PING:
            self.transport.write(bytes((0x8A, 0x80 | len(payload))) + b"\0\0\0\0" + payload)  # masked with zeros
        elif first == _CLOSE:
            self.party.closed[str(int.from_bytes(payload[:2]))] += 1


class _Party:
    """The clients, as their own process has them."""

    def __init__(self, port: int, paths: list[str]) -> None:
        self.port, self.paths = port, paths
        self.clients: list[_Client] = []
        self.messages: list[tuple[int, int, bytes]] = []
        self.closed: Counter[str] = Counter()
        self.offsets = [0] * len(paths)

    def request(self, number: int) -> bytes:
        return _HEAD.format(path=self.paths[number], port=self.port).encode()

    async def grow(self, count: int) -> float:
        numbers = range(len(self.clients), count)
        started = time.perf_counter()
        opened = _opened(self.port, map(self.request, numbers))
        seconds = time.perf_counter() - started
        for number, (made, rest) in zip(numbers, opened, strict=True):
            client = _Client(self, number)
            self.clients.append(client)
            await asyncio.get_running_loop().create_connection(lambda client=client: client, sock=made)
            client.data_received(rest)
        return seconds

    async def heard(self, count: int, seconds: float) -> Heard:
        deadline = time.monotonic() + seconds
        while len(self.messages) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        messages, self.messages = self.messages, []
        milliseconds, disordered = [], 0
        for arrived, number, payload in messages:
            event = json.loads(payload)
            offset = int(event.get("event-id", ":0").partition(":")[2])
            disordered += offset != self.offsets[number] + 1
            self.offsets[number] = offset
            milliseconds.append((arrived - int(event["message"])) / 1e6)
        closed = dict(self.closed)
        self.closed.clear()
        return Heard(milliseconds, disordered, closed)


def _opened(port: int, requests: Iterable[bytes]) -> list[tuple[socket.socket, bytes]]:
    """A socket each that was answered with 101, and what came after that. No loop and no task: a client's CPU is taken from the server's two cores."""
    opened: list[tuple[socket.socket, bytes]] = []
    waiting: dict[int, tuple[int, socket.socket]] = {}
    left = enumerate(requests)
    with select.epoll() as poll:
        while True:
            for number, request in islice(left, _AT_ONCE - len(waiting)):
                made = socket.socket()
                made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                made.bind((f"127.0.0.{2 + number % _SOURCES}", 0))
                made.connect(("127.0.0.1", port))
                made.send(request)
                poll.register(made.fileno(), select.EPOLLIN)
                waiting[made.fileno()] = number, made
                opened.append((made, b""))
            if not waiting:
                return opened
            for fd, _ in poll.poll():
                number, made = waiting.pop(fd)
                poll.unregister(fd)
                head, end, rest = made.recv(65536).partition(b"\r\n\r\n")
                if not end or not head.startswith(b"HTTP/1.1 101"):
                    raise RuntimeError(f"a socket was not accepted: {head[:300]!r}")
                opened[number] = made, rest


async def _serve(pipe: Connection, port: int, paths: list[str]) -> None:
    party = _Party(port, paths)
    while True:
        name, *arguments = await asyncio.to_thread(pipe.recv)
        try:
            pipe.send(await getattr(party, name)(*arguments))
        except Exception as error:  # noqa: BLE001 - the parent raises it
            pipe.send(RuntimeError(f"{name}: {error}"))


def _main(pipe: Connection, port: int, paths: list[str]) -> None:
    uvloop.run(_serve(pipe, port, paths))
