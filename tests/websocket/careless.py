"""An echo that believes its client, and does one thing wrong besides: cases that it passes prove nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.websocket.conversation import GUID, Address
from tests.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, mask, split

FAULTS = (
    "believes",  # and nothing else: no check of what comes
    "hangs up",  # instead of any close frame
    "stays",  # never ends the connection
    "no pong",
    "another pong",
    "pongs late",  # when the message is whole
    "text as bytes",
    "loses a byte",
    "masks",
    "twice",
    "echoes fragments",
    "closes with 1001",
    "talks after close",
    "no upgrade",
)


class Careless:
    def __init__(self, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._fault, self._reader, self._writer = fault, reader, writer
        self._kind, self._message, self._late = TEXT, b"", b""

    async def serve(self) -> None:
        try:
            await self._open()
            while True:
                await self._answer(*await self._frame())
        except (asyncio.IncompleteReadError, OSError):
            self._writer.close()

    async def _open(self) -> None:
        head = await self._reader.readuntil(b"\r\n\r\n")
        key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        proof = base64.b64encode(hashlib.sha1(key + (b"" if self._fault == "no upgrade" else GUID)).digest())
        self._writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n")

    async def _frame(self) -> tuple[int, bool, bytes]:
        head = await self._reader.readexactly(2)
        head += await self._reader.readexactly({126: 2, 127: 8}.get(head[1] & 0x7F, 0))
        head += await self._reader.readexactly(4)
        size = int.from_bytes(head[2:-4]) if len(head) > 6 else head[1] & 0x7F
        [(_, key, body)] = split(head + await self._reader.readexactly(size))
        return head[0] & 0x0F, bool(head[0] & 0x80), mask(body, key)

    async def _answer(self, opcode: int, final: bool, payload: bytes) -> None:
        if opcode == PING:
            self._pong(payload)
        elif opcode == CLOSE:
            if self._fault == "talks after close":
                self._say(Frame(CLOSE, payload), Frame(TEXT, b"and another thing"))
            elif self._fault != "hangs up":
                self._say(Frame(CLOSE, b"\x03\xe9" if self._fault == "closes with 1001" else payload))
            if self._fault != "stays":
                raise ConnectionAbortedError
        elif opcode != PONG:
            if opcode != CONTINUATION:
                self._kind = BINARY if opcode == BINARY else TEXT
            self._message += payload
            if final or self._fault == "echoes fragments":
                self._echo()

    def _pong(self, payload: bytes) -> None:
        if self._fault == "pongs late":
            self._late += Frame(PONG, payload).bare()
        elif self._fault != "no pong":
            self._say(Frame(PONG, payload + b"!" if self._fault == "another pong" else payload))

    def _echo(self) -> None:
        payload, self._message = self._message, b""
        kind = BINARY if self._fault == "text as bytes" else self._kind
        echo = Frame(kind, payload[:-1] if self._fault == "loses a byte" else payload)
        self._say(echo, *([echo] if self._fault == "twice" else []))
        self._writer.write(self._late)
        self._late = b""

    def _say(self, *frames: Frame) -> None:
        for frame in frames:
            self._writer.write(frame.masked() if self._fault == "masks" else frame.bare())


@asynccontextmanager
async def careless(fault: str) -> AsyncIterator[Address]:
    running: set[asyncio.Task | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        await Careless(fault, reader, writer).serve()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    async with server:
        yield server.sockets[0].getsockname()
        await asyncio.gather(*running)  # their clients have gone
