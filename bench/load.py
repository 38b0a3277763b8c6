"""A light HTTP client, in a process of its own: prebuilt requests on kept-alive sockets. `python -m bench.load` reads a Plan, prints seconds.

Requests leave on time, however slow the answers are (open loop), in turn: one to each target, so that what disturbs one disturbs all.
A request that finds all connections of its target busy waits, and its waiting counts.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

MARK = b"f" * 32
"""Stands in a body for an id that is new in each request."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    targets: Sequence[Target]
    count: int
    """Requests to each target."""
    rate: float
    """A second, to each target."""
    connections: int


def run(plan: Plan) -> list[list[float]]:
    """The latencies of each target, in seconds: from the request's last byte (it is written at once) to the answer's."""
    done = subprocess.run([sys.executable, "-m", "bench.load"], input=pickle.dumps(plan), stdout=subprocess.PIPE, check=True)
    latencies: list[list[float]] = pickle.loads(done.stdout)  # noqa: S301 - from our own child
    return latencies


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed without an answer"))

    async def exchange(self, request: bytes) -> int:
        """The status."""
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and self._answer is not None and not self._answer.done():
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(body) >= length:
                self._answer.set_result(int(head[9:12]))


class Pool:
    def __init__(self, target: Target, plan: Plan) -> None:
        self._url = urlsplit(target.url)
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._count = plan.connections
        head = f"POST {self._url.path or '/'} HTTP/1.1\r\nHost: {self._url.netloc}\r\nContent-Length: {len(target.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in target.headers.items()) + "\r\n"
        request = head.encode() + target.body
        self.requests = [request.replace(MARK, uuid.uuid4().hex.encode()) for _ in range(plan.count)]
        self.latencies: list[float] = []

    async def open(self) -> None:
        for _ in range(self._count):
            self._free.put_nowait(await self._connect())

    async def _connect(self) -> Connection:
        return (await asyncio.get_running_loop().create_connection(Connection, self._url.hostname or "", self._url.port or 80))[1]

    async def post(self, request: bytes) -> None:
        started = time.perf_counter()
        connection = await self._free.get()
        if connection.closed:
            connection = await self._connect()
        status = await connection.exchange(request)
        self.latencies.append(time.perf_counter() - started)
        if status != 200:
            raise RuntimeError(f"{self._url.netloc} answered {status}")
        self._free.put_nowait(connection)


async def _fire(plan: Plan) -> list[list[float]]:
    pools = [Pool(target, plan) for target in plan.targets]
    for pool in pools:
        await pool.open()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.count):
            for place, pool in enumerate(pools):
                at = started + (number + place / len(pools)) / plan.rate
                await asyncio.sleep(max(0.0, at - time.perf_counter()))
                group.create_task(pool.post(pool.requests[number]))
    return [pool.latencies for pool in pools]


if __name__ == "__main__":
    plan = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - from our own parent
    sys.stdout.buffer.write(pickle.dumps(uvloop.run(_fire(plan))))
