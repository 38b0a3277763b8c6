"""An echo on top of our lines, on the tier of choice. In production nobody listens to what a client says; here `on_message` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.websocket.framed import Framed
from app.api.websocket.line import Line
from app.api.websocket.lines import Lines
from app.api.websocket.lot import CAN_PARK, Lot
from app.api.websocket.plain import Plain
from tests.websocket.conversation import Address
from tests.websocket.serving import serving

OURS = "app.api.websocket.protocol:SocketProtocol"

TIERS: dict[str, dict[str, Any]] = {
    "parked": {"ws": OURS},
    "handed off": {"ws": OURS},
    "plain on wsproto": {"ws": "wsproto"},
    "plain on websockets": {"ws": "websockets-sansio"},
}


class EchoLines:
    """The application. It knows the line of each client that is there, by the client's address, and what became of the others."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self.lines = Lines(parks=tier != "handed off")
        self.gone: list[int] = []
        """For each line, how often it was said to be gone."""
        self._by_client: dict[Address, Line] = {}
        self._running: set[Address] = set()
        self._saying: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        client = tuple(scope["client"])
        self._running.add(client)
        try:
            await websocket.accept()
            line = self._by_client[client] = self.lines.take(websocket)
            number = len(self.gone)
            self.gone.append(0)
            line.on_message = lambda message: self._echo(websocket, line, message)
            line.on_gone = lambda: self._forget(number, client, line)
            await line.settle()
        finally:
            self._running.discard(client)

    def _echo(self, websocket: WebSocket, line: Line, message: str | bytes) -> None:
        if isinstance(message, str):
            line.send(message.encode())
        elif isinstance(line, Framed):
            line.send_binary(message)
        else:  # our readers are told texts only, so a plain line has nothing for bytes
            saying = asyncio.create_task(websocket.send_bytes(message))
            self._saying.add(saying)
            saying.add_done_callback(self._saying.discard)

    def _forget(self, number: int, client: Address, line: Line) -> None:
        self.gone[number] += 1
        if self._by_client.get(client) is line:  # else the address is another's already
            del self._by_client[client]

    async def ready(self, client: Address) -> None:
        """When the client's line is on the tier that is meant."""
        while not self._is_there(client):
            await asyncio.sleep(0)

    def _is_there(self, client: Address) -> bool:
        line = self._by_client.get(client)
        if self.tier.startswith("plain"):
            return isinstance(line, Plain)
        if not isinstance(line, Framed) or client in self._running:
            return False
        return isinstance(line.wire, Lot) == (self.tier == "parked")

    async def emptied(self) -> None:
        """When every client has gone, and was taken leave of."""
        while self._by_client or self._running or len(self.lines):
            await asyncio.sleep(0.01)


def skip_where_impossible(tier: str) -> None:
    if tier == "parked" and not CAN_PARK:
        pytest.skip("sockets are parked where there is epoll")


@asynccontextmanager
async def echo_lines(tier: str, **config: Any) -> AsyncIterator[tuple[Address, EchoLines]]:
    skip_where_impossible(tier)
    application = EchoLines(tier)
    async with serving(application, **TIERS.get(tier, {"ws": OURS}), **config) as address:
        yield address, application
