"""The ASGI side of a socket, from its handshake until the application returns; with it go scope, queue and task."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, is_ssl
from uvicorn.server import ServerState

from app.api.errors import problem
from app.api.websocket.framed import Framed
from app.api.websocket.upgrade import Headers, Upgrade, answer

log = logging.getLogger(__name__)

TAKE_LINE = "headrace.line"
"""An extension in the scope: a callable that returns the line of the accepted socket. From then on ASGI neither sends nor receives."""

Event = MutableMapping[str, Any]
Address = tuple[str, int | None] | None
"""As in an ASGI scope."""


class Connection(Protocol):
    """What the handshake came on."""

    config: Config
    loop: asyncio.AbstractEventLoop
    server_state: ServerState
    app_state: dict[str, Any]
    transport: asyncio.Transport

    def open(self, head: bytes) -> Framed:
        """Answers `head`; from now on the connection is a WebSocket."""

    def refuse(self, response: Response) -> None:
        """Answers the handshake with it, and closes."""

    def ended(self) -> None:
        """The application has returned."""


class Conversation:
    def __init__(self, connection: Connection, upgrade: Upgrade, client: Address, server: Address) -> None:
        self._connection = connection
        self._upgrade = upgrade
        self._client, self._server = client, server
        self._early = b""
        self._events: deque[Event] = deque([{"type": "websocket.connect"}])
        self._arrival: asyncio.Future[None] | None = None
        self._line: Framed | None = None
        self._is_lost = False
        self.has_answered = False

    def start(self) -> None:
        task = self._connection.loop.create_task(self._run())
        tasks = self._connection.server_state.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # ------------------------------------------------------------------------------------------------ the connection speaks

    def early(self, data: bytes) -> None:
        """Before the handshake was answered. A client has no business to send then; it is kept, and no more is read."""
        self._early += data
        self._connection.transport.pause_reading()

    def lost(self) -> None:
        self._is_lost = True
        code = self._line.code if self._line is not None else None
        self._event({"type": "websocket.disconnect", "code": code or 1006, "reason": ""})

    def _message(self, message: str | bytes) -> None:
        self._event({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})
        self._connection.transport.pause_reading()

    def _event(self, event: Event) -> None:
        self._events.append(event)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # ------------------------------------------------------------------------------------------------ the application

    async def _run(self) -> None:
        try:
            await self._connection.config.loaded_app(self._scope(), self._receive, self._send)
        except ClientDisconnected:
            pass
        except Exception:
            log.exception("a socket's application failed")
            self._end(1011)
        except asyncio.CancelledError:
            self._end(1012)
            raise
        else:
            self._end(1000)
        finally:
            if self._line is not None and not self._line.is_taken:
                self._line.on_message = None
                self._resume()  # the client's half of the close must be read
            self._connection.ended()

    def _end(self, code: int) -> None:
        if self._line is not None:
            if code != 1000 or not self._line.is_taken:
                self._line.close(code)
        elif not self.has_answered:
            self.has_answered = True
            self._connection.refuse(problem(500, "internal", "something went wrong on our side"))
        elif not self._connection.transport.is_closing():
            self._connection.transport.close()

    def _scope(self) -> dict[str, Any]:
        config, transport = self._connection.config, self._connection.transport
        raw_path, _, query = self._upgrade.target.partition(b"?")
        return {
            "type": "websocket",
            "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": self._server,
            "client": self._client,
            "root_path": config.root_path,
            "path": config.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": config.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": self._upgrade.headers,
            "subprotocols": self._upgrade.subprotocols,
            "state": self._connection.app_state.copy(),
            "extensions": {"websocket.http.response": {}, TAKE_LINE: self._take_line},
        }

    def _take_line(self) -> Framed:
        line = self._line
        if line is None:
            raise RuntimeError("the socket is not accepted")
        line.on_message = None
        self._resume()
        return line

    async def _receive(self) -> Event:
        while not self._events:
            self._resume()
            self._arrival = self._connection.loop.create_future()
            await self._arrival
        return self._events.popleft()

    def _resume(self) -> None:
        if not self._is_lost and not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    async def _send(self, event: Event) -> None:
        kind = event["type"]
        if self._is_lost or self._connection.transport.is_closing():
            raise ClientDisconnected
        if self._line is not None:
            try:
                await self._talk(self._line, kind, event)
            finally:
                if not self._line.is_open:
                    self._resume()
        elif not self.has_answered:
            self._answer(kind, event)
        elif kind == "websocket.http.response.body":
            self._body(event)
        else:
            raise RuntimeError(f"{kind} after the handshake was refused")

    def _answer(self, kind: str, event: Event) -> None:
        connection = self._connection
        headers: Headers = [*connection.server_state.default_headers, *event.get("headers", ())]
        if kind == "websocket.accept":
            head = self._upgrade.accepted(event.get("subprotocol"), headers)
            self.has_answered = True
            self._line = connection.open(head)
            self._line.on_message = self._message
            if self._early:
                early, self._early = self._early, b""
                self._resume()
                self._line.received(early)
        elif kind == "websocket.http.response.start":
            connection.transport.write(answer(event["status"], [*headers, (b"connection", b"close")]))
            self.has_answered = True
        elif kind == "websocket.close":
            self.has_answered = True
            connection.refuse(problem(403, "forbidden", "the socket is refused"))
        else:
            raise RuntimeError(f"{kind} before the handshake was answered")

    def _body(self, event: Event) -> None:
        transport = self._connection.transport
        transport.write(event.get("body", b""))
        if not event.get("more_body", False):
            transport.close()

    @staticmethod
    async def _talk(line: Framed, kind: str, event: Event) -> None:
        """Waits while the client is slow: only a taken line counts and cuts."""
        if kind == "websocket.close":
            line.close(event.get("code", 1000), event.get("reason") or "")
            return
        if kind != "websocket.send":
            raise RuntimeError(f"{kind} on an open socket")
        await line.room()
        binary = event.get("bytes")
        if not (line.send_binary(binary) if binary is not None else line.send(event["text"].encode())):
            raise ClientDisconnected
