"""HttpProtocol: uvicorn's HTTP protocol with a bound on what comes before the application: how large a head may be, and how long it may take.

Middleware cannot do this: it runs when the head is complete. uvicorn's own has neither bound: a connection that says nothing, or half a header,
is held for ever, and a header of many MiB is taken.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.errors import problem
from app.api.websocket.protocol import SocketProtocol

HEAD_BYTES = 64 * 1024
"""Request line and header fields together. nginx' default is 32 KiB."""
HEAD_SECONDS = 20.0
"""From the connection, or from the first byte of a further request on it, to the end of the head."""


class HttpProtocol(HttpToolsProtocol):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn serves streams only
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._on_slow_head)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        # What came in one piece with its end.
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._refuse(_too_large())
        elif not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:  # else its head was refused
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.cycle is not None:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """uvicorn's writes the head anew for a class that parses it anew; ours takes what was parsed."""
        if not issubclass(self.ws_protocol_class or object, SocketProtocol):
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        socket = SocketProtocol(self.config, self.server_state, self.app_state, self.loop)
        socket.connection_made(self.transport)
        socket.upgrade(self.scope["method"].encode("ascii"), self.url, self.headers, self.client, self.server)
        self.transport.set_protocol(socket)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_slow_head(self) -> None:
        self._deadline = None
        if self._head_bytes:
            self._refuse(problem(408, "request_timeout", "the head of the request stopped coming"))
        elif not self.transport.is_closing():
            self.transport.close()  # it never said anything: there is nobody to answer

    def _refuse(self, answer: Response) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]  # uvicorn begins with None, whatever its types say
            self.transport.close()  # an answer is on its way: ours would land in the middle of it
            return
        lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}", *(f"{name}: {value}" for name, value in answer.headers.items())]
        self.transport.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + bytes(answer.body))
        self.transport.close()


def _too_large() -> Response:
    return problem(431, "head_too_large", f"the head of a request may have {HEAD_BYTES} bytes")
