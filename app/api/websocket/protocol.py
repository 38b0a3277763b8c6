"""SocketProtocol: what HttpProtocol hands a connection to when its client asks for a WebSocket (`ws="app.api.websocket.protocol:SocketProtocol"`).

It is the wire of its line until the line is parked; then nothing of it stays. The application has the usual ASGI interface
(conversation.py), and may take the line instead, and return.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from app.api.errors import problem
from app.api.websocket.conversation import Address, Conversation
from app.api.websocket.framed import Framed
from app.api.websocket.upgrade import BadHandshake, Headers, Upgrade, answer

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_HIGH_BYTES = 16 * 1024
"""What the transport may hold; beyond it the line holds, and counts."""


class SocketProtocol(asyncio.Protocol):
    __slots__ = ("_conversation", "_is_full", "_is_parking", "_line", "app_state", "config", "loop", "server_state", "transport")

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        """`loop`: to ask for the running one costs a system call each time."""
        self.loop = loop
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.transport: asyncio.Transport
        self._conversation: Conversation | None = None
        self._line: Framed | None = None
        self._is_full = False
        self._is_parking = False

    # ------------------------------------------------------------------------------------------------ the transport speaks

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn serves streams only
        self.transport = transport
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists its own classes there
        transport.set_write_buffer_limits(_HIGH_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._line is not None:
            self._line.received(data)
        elif self._conversation is not None:
            self._conversation.early(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.server_state.connections.discard(self)
        if self._conversation is not None:
            self._conversation.lost()
        if self._line is not None:
            self._line.lost()
        self._line = self._conversation = None

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._line is not None:
            self._line.writable()
            self._park_soon()

    def shutdown(self) -> None:
        """uvicorn stops."""
        if self._line is not None:
            self._line.close(1012)
        elif self._conversation is not None and not self._conversation.has_answered:
            self.refuse(problem(503, "stopping", "this process is stopping; another one answers soon", headers={"Retry-After": "5"}))
        else:
            self.transport.close()

    # ------------------------------------------------------------------------------------------------ the handshake

    def upgrade(self, method: bytes, target: bytes, headers: Headers, client: Address, server: Address) -> None:
        """What the connection was until now has read this, and has not answered."""
        try:
            upgrade = Upgrade.of(method, target, headers)
        except BadHandshake as bad:
            version = {"Sec-WebSocket-Version": "13"} if bad.status == 426 else None
            self.refuse(problem(bad.status, "invalid_handshake", str(bad), headers=version))
            return
        self._conversation = Conversation(self, upgrade, client, server)
        self._conversation.start()

    def refuse(self, response: Response) -> None:
        """Instead of an answer of the application. When the client has gone: nothing."""
        if self.transport.is_closing():
            return
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        self.transport.write(answer(response.status_code, headers) + bytes(response.body))
        self.transport.close()

    def open(self, head: bytes) -> Framed:
        """The application has accepted; `head` is the answer."""
        self.transport.write(head)
        self._line = Framed(self, self.transport.get_extra_info("socket").fileno(), self.config.ws_max_size)
        return self._line

    def ended(self) -> None:
        """The application has returned."""
        self._conversation = None

    # ------------------------------------------------------------------------------------------------ the line's wire

    def write(self, _line: Framed, data: bytes | memoryview) -> int:
        if self._is_full or self.transport.is_closing():
            return 0
        self.transport.write(data)
        return len(data)

    def finish(self, _line: Framed) -> None:
        if self.transport.can_write_eof():
            with suppress(OSError, RuntimeError):  # the connection broke in the same moment
                self.transport.write_eof()
        else:  # TLS
            self.transport.close()

    def close(self, _line: Framed) -> None:
        self.transport.close()

    def abort(self, _line: Framed) -> None:
        self.transport.abort()

    def settle(self, line: Framed) -> None:
        if line.keeper is None or not line.keeper.parks or self.transport.is_closing():
            return
        if self.transport.get_extra_info("sslcontext") is None:
            self._is_parking = True
            if self.transport.get_write_buffer_size():
                self.transport.set_write_buffer_limits(0)  # so that resume_writing says when nothing waits any more
            self._park_soon()

    def _park_soon(self) -> None:
        if self._is_parking:  # not at once: the transport may be in the middle of telling us
            self.loop.call_soon(self._park)

    def _park(self) -> None:
        """The descriptor goes on without the transport, whose abort closes only its own copy: the client notices nothing."""
        line = self._line
        if line is None or line.keeper is None or not line.is_open or line.is_behind or self._is_full:
            return
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            return
        try:
            fd = os.dup(line.fd)  # it does not block either: that is the connection's, not the descriptor's
        except OSError:  # no descriptor is left; it stays as it is
            return
        self._line = None
        self.server_state.connections.discard(self)
        self.transport.abort()
        line.keeper.park(line, fd)
