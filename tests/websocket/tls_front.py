"""For a client that speaks plainly to a server that has TLS in its process: every connection goes on through TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.websocket.conversation import Address


class TlsFront:
    def __init__(self, behind: Address, context: ssl.SSLContext) -> None:
        self._behind, self._context = behind, context
        self._running: set[asyncio.Task[None]] = set()
        self.beyond: dict[Address, Address] = {}
        """What the server takes a client's address for."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        server_reader, server_writer = await asyncio.open_connection(*self._behind, ssl=self._context)
        self.beyond[writer.get_extra_info("peername")] = server_writer.get_extra_info("sockname")
        await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def emptied(self) -> None:
        while self._running:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def tls_front(behind: Address, context: ssl.SSLContext) -> AsyncIterator[tuple[Address, TlsFront]]:
    front = TlsFront(behind, context)
    async with await asyncio.start_server(front.serve, "127.0.0.1", 0, backlog=512) as server:
        yield server.sockets[0].getsockname(), front
        await asyncio.wait_for(front.emptied(), 30)
