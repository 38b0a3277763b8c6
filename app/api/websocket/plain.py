"""A line over ASGI alone, for servers that know nothing of ours (and the test client): a task writes, the endpoint stays and reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.api.websocket.backlog import Backlog
from app.api.websocket.framed import CLOSE_SECONDS
from app.telemetry.metrics import SOCKETS_SLOW


class Plain:
    """Made in the endpoint, after `accept`. Frames, pings and bounds on what comes in are the server's."""

    def __init__(self, websocket: WebSocket, forget: Callable[[Plain], None]) -> None:
        self.on_gone: Callable[[], None] | None = None
        self.on_message: Callable[[str | bytes], None] | None = None
        self._websocket = websocket
        self._forget = forget
        self._backlog = Backlog()
        self._something = asyncio.Event()
        self._code: int | None = None
        self._untold = 0
        self._sending = 0
        self._writing = asyncio.create_task(self._write())

    @property
    def is_open(self) -> bool:
        return self._code is None

    @property
    def waiting(self) -> int:
        return self._untold + self._sending + len(self._backlog)

    def send(self, message: bytes) -> bool:
        if self._code is not None:
            return False
        self._backlog.add(message)
        if self._backlog.is_over:
            SOCKETS_SLOW.inc()
            self._untold = len(self._backlog)
            self._backlog.drop()
            self.close(1013)
            return False
        self._something.set()
        return True

    async def room(self) -> None:
        if self._code is None:
            await self._backlog.room()

    def close(self, code: int) -> None:
        if self._code is None:
            self._code = code
            self._backlog.wake()
            self._something.set()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.cut)

    def cut(self) -> None:
        self._code = self._code or 1006
        self._writing.cancel()

    async def settle(self) -> None:
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, self._writing}, return_when=asyncio.FIRST_COMPLETED)
            if self._writing.done() and not self._writing.cancelled():  # closed: the client's half, or as long as it may take
                await asyncio.wait({reading}, timeout=CLOSE_SECONDS)
        finally:
            self._code = self._code or 1006
            reading.cancel()
            self._writing.cancel()
            self._backlog.wake()
            self._forget(self)
            tell, self.on_gone = self.on_gone, None
            if tell is not None:
                asyncio.get_running_loop().call_soon(tell)
            await asyncio.wait({reading, self._writing}, timeout=CLOSE_SECONDS)

    async def _write(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # gone; the endpoint's reading sees it too
            while self._backlog or self._code is None:
                if not self._backlog:
                    self._something.clear()
                    await self._something.wait()
                    continue
                message = self._backlog.take()
                self._sending = 1
                await self._websocket.send_text(message.decode())
                self._sending = 0
            await self._websocket.close(self._code)

    async def _read(self) -> None:
        while self._websocket.application_state is WebSocketState.CONNECTED:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            if self.on_message is not None:
                text = event.get("text")
                self.on_message(text if text is not None else event["bytes"])
