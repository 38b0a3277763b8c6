"""A TCP relay before a server, which can be shut, or be made busy: what an outage looks like from outside."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Self, cast
from urllib.parse import urlsplit

BODY = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
REFUSAL = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)


class Valve:
    """Relays whole connections to `target`, in a thread of its own. `shut` refuses new ones and cuts the rest, until `open`."""

    def __init__(self, target: str, *, seed: int = 0) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self.target = (parts.hostname, parts.port)
        self.port = 0
        self.refused = 0
        """How many requests were answered 503."""
        self.share = 0.0
        """Of new connections, how many are answered 503 at present."""
        self.chance = random.Random(seed)
        self.lines: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="valve", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shut(self) -> None:
        self._do(self._shut())

    def open(self) -> None:
        """Relays all again."""
        self.share = 0.0
        self._do(self._listen())

    def busy(self, share: float) -> None:
        """From now on so many of the connections are answered `503 Slow Down`. What is under way is cut, so that it does not pass by."""
        self.share = share
        self.cut()

    def cut(self) -> None:
        """Breaks what is connected now."""
        self._do(self._cut())

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(lambda: _Near(self), "127.0.0.1", self.port, backlog=512)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for transport in list(self.lines):
            transport.abort()
        await asyncio.sleep(0)


class _Side(asyncio.Protocol):
    """One end of a relayed connection: what it reads, the other end writes."""

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.valve.lines.add(self.transport)

    def data_received(self, received: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(received)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        assert self.transport is not None
        self.valve.lines.discard(self.transport)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.abort() if error else self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class _Near(_Side):
    """The client's end. Nothing is read before the far end is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.refuses = self.valve.chance.random() < self.valve.share
        if not self.refuses:
            self.transport.pause_reading()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, received: bytes) -> None:
        if not self.refuses:
            super().data_received(received)
        elif self.transport is not None and not self.transport.is_closing():
            self.valve.refused += 1
            self.transport.write(REFUSAL)
            self.transport.close()

    async def _connect(self) -> None:
        assert self.transport is not None
        try:
            _, far = await asyncio.get_running_loop().create_connection(lambda: _Side(self.valve), *self.valve.target)
        except OSError:
            self.transport.abort()
            return
        far.other, self.other = self, far
        if self.transport.is_closing():
            assert far.transport is not None
            far.transport.abort()
        else:
            self.transport.resume_reading()
