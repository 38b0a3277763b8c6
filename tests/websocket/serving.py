"""uvicorn around an application, in the loop of the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from app.api.http_protocol import HttpProtocol
from tests.websocket.conversation import Address


@asynccontextmanager
async def serving(application: Any, *, send_buffer_bytes: int | None = None, **config: Any) -> AsyncIterator[Address]:
    settings = {
        "http": HttpProtocol,
        "lifespan": "off",
        "log_config": None,
        "ws_max_size": 16 << 20,
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": 1,
    }
    server = uvicorn.Server(uvicorn.Config(application, **settings | config))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        if send_buffer_bytes is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)  # connections inherit it
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            await running


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Says everything back: the receive loop that any ASGI server can run."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
