"""Around the application: what an early refusal does with the body that is still coming."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DRAIN_BYTES = 1024 * 1024
_DRAIN_SECONDS = 2.0


class Drain:
    """Answer first, then read and drop at most 1 MiB or 2 s of the rest, then close the connection.

    Closing at once would reset the connection under a client that is still sending, and the answer would be lost with it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body_read = not any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in scope["headers"])
        early = False

        async def receiving() -> Message:
            nonlocal body_read
            message = await receive()
            body_read |= message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start" and not body_read:
                early = True
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            elif early and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        async def drain() -> None:
            left = _DRAIN_BYTES
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while left > 0 and not body_read:
                        left -= len((await receiving()).get("body", b""))

        await self._app(scope, receiving, sending)
