"""One case played against a server, on a raw socket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.websocket.case import Case
from tests.websocket.frames import BadFrame, Reader, closing, code_of

Address = tuple[str, int]
Ready = Callable[[Address], Awaitable[None]]
"""Awaited when the client of that address has opened its socket, before it says anything."""

PATIENCE_SECONDS = 20.0
"""For a server that is to answer. Only one that fails the case takes so long."""
_QUIET_SECONDS = 0.1
"""In which a server that may not react yet would."""
_FAIL_FAST_SECONDS = 1.0
"""As published: for a server that may fail the connection now, or only with the rest of the message."""

REQUEST = b"GET /ws/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
"""Of a handshake; the key is missing."""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Outcome:
    opened: bool = False
    events: list[tuple[str, bytes]] = field(default_factory=list)
    """What came, and the pauses that the connection outlived."""
    closed_by: str | None = None
    """`client` or `server`: whose close frame was first. A server that only hangs up closed nothing."""
    code: int | None = None
    """In the server's close frame."""
    clean: bool = False
    """Both sides sent their close frame."""
    hung_up: bool = False
    """The server ended the TCP connection, as it should, and not the client, at the end of its patience."""
    bad: str | None = None
    """What the server sent and must not."""


async def handshake(sock: socket.socket, address: Address) -> bytes:
    """What came behind the server's answer. Raises BadFrame when that opens no WebSocket, ConnectionError when there is none."""
    loop, key = asyncio.get_running_loop(), base64.b64encode(os.urandom(16))
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, REQUEST % key)
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = await loop.sock_recv(sock, 4096)
        if not chunk:
            raise ConnectionAbortedError("no answer")
        answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(b":") for each in fields)}
    proof = base64.b64encode(hashlib.sha1(key + GUID).digest())
    if not status.startswith(b"HTTP/1.1 101 ") or headers.get(b"sec-websocket-accept") != proof or b"sec-websocket-extensions" in headers:
        raise BadFrame(f"not opened: {head!r}")
    return rest


class Conversation:
    def __init__(self, case: Case, sock: socket.socket, patience_seconds: float) -> None:
        self.outcome = Outcome()
        self._case, self._sock, self._patience = case, sock, patience_seconds
        self._wanted = [(kind, bytes.fromhex(hexed) * (more[0] if more else 1)) for kind, hexed, *more in case.expected["ok"] if kind != "pause"]
        self._pauses = iter([name.encode() for kind, name, *_ in case.expected.get("non-strict", ()) if kind == "pause"])
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._moved = asyncio.Condition()

    async def play(self, address: Address, ready: Ready | None) -> Outcome:
        try:
            async with asyncio.timeout(self._patience):
                rest = await handshake(self._sock, address)
                if ready is not None:
                    await ready(self._sock.getsockname())
        except (TimeoutError, OSError, BadFrame):
            return self.outcome
        self.outcome.opened = True
        reading = asyncio.create_task(self._read(rest))
        try:
            async with asyncio.timeout(self._patience):
                await self._speak()
                await reading
        except TimeoutError:
            self.outcome.closed_by = self.outcome.closed_by or "client"
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        return self.outcome

    async def _speak(self) -> None:
        if self._case.closes_by_itself:
            self.outcome.closed_by = "client"
        for index, part in enumerate(self._case.parts):
            if index and not await self._pause():
                return
            for chunk in part:
                if not await self._send(chunk):
                    return
                await asyncio.sleep(0)
        await self._close_when_done()

    async def _pause(self) -> bool:
        """False: the connection is over, nothing more is to be sent."""
        name = next(self._pauses, None)
        over = lambda: self.outcome.hung_up or self.outcome.closed_by is not None  # noqa: E731 - the same question twice
        done = (lambda: over() or self.outcome.events) if name is None else over
        with suppress(TimeoutError):
            async with asyncio.timeout({None: None, b"A": _QUIET_SECONDS}.get(name, _FAIL_FAST_SECONDS)), self._moved:
                await self._moved.wait_for(done)
        if over():
            return False
        if name is not None:
            self.outcome.events.append(("pause", name))
        return True

    async def _read(self, chunk: bytes) -> None:
        reader = Reader()
        try:
            while True:
                for event in reader.feed(chunk):
                    if event.kind == "close":
                        await self._closed(code_of(event.payload))
                    elif event.kind != "ping":  # a server may ask at any time, and waits longer than a case takes
                        self.outcome.events.append((event.kind, event.payload))
                        await self._close_when_done()
                    await self._tell()
                chunk = await self._loop.sock_recv(self._sock, 1 << 16)
                if not chunk:
                    reader.end()
                    break
        except BadFrame as error:
            self.outcome.bad = str(error)
        except OSError:  # reset: what was on its way is lost
            pass
        self.outcome.hung_up = self.outcome.bad is None
        await self._tell()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _closed(self, code: int | None) -> None:
        self.outcome.code, self.outcome.clean = code, True
        if self.outcome.closed_by is None:
            self.outcome.closed_by = "server"
            await self._send(closing(1000).masked())

    async def _close_when_done(self) -> None:
        if self.outcome.closed_by is None and self.outcome.events == self._wanted and self._case.expected["closes"] == "client":
            self.outcome.closed_by = "client"
            await self._send(closing(1000).masked())

    async def _send(self, chunk: bytes) -> bool:
        try:
            async with self._writing:
                await self._loop.sock_sendall(self._sock, chunk)
        except OSError:
            return False
        return True


async def converse(address: Address, case: Case, patience_seconds: float = PATIENCE_SECONDS, ready: Ready | None = None) -> Outcome:
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await Conversation(case, sock, patience_seconds).play(address, ready)
