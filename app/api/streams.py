"""The WebSocket of a channel: the server speaks, the client listens.

Served before FastAPI, whose routing and dependencies cost as much as all the rest of a handshake (docs/adr/0010-cheap-sockets.md).
"""

from __future__ import annotations

import re

from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.deps import Services
from app.api.errors import from_error
from app.api.handshake import asked, joined, subprotocol
from app.domain.errors import HeadraceError, Unavailable
from app.domain.position import start
from app.services.reader import Reader
from app.services.sockets import Sockets

_PATH = re.compile(r"(/public)?(/user)?/ws/(?P<ws_uuid>[^/]+)")


class Streams:
    """ASGI: serves the sockets of channels, out of `state.services`; all else goes on to the application behind it."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.fullmatch(scope["path"]) if scope["type"] == "websocket" else None
        if found is None:
            await self._app(scope, receive, send)
        else:
            await watch_channel(WebSocket(scope, receive, send), found["ws_uuid"], self._state.services)


class _Seat:
    """A reader's place among the open sockets; calling it gives both up."""

    __slots__ = ("_reader", "_sockets")

    def __init__(self, sockets: Sockets, reader: Reader) -> None:
        self._sockets = sockets
        self._reader = reader

    def __call__(self) -> None:
        self._reader.detach()
        self._sockets.leave(*self._reader.channel)


async def watch_channel(websocket: WebSocket, ws_uuid: str, services: Services) -> None:
    """History, then live; closed with 1000 when the channel has nothing more to tell. Refused (400 to 503) before it is accepted.

    Returns when the history is told, where the server lets a socket go on without its endpoint.
    """
    try:
        if services.lines.is_draining:
            raise Unavailable("stopping", "this process is stopping; another one answers soon")
        after = start(asked(websocket.scope["query_string"], "after"))
        reader, state = await joined(websocket, ws_uuid, services)
    except HeadraceError as error:
        await websocket.send_denial_response(from_error(error))
        return
    seat = _Seat(services.sockets, reader)
    try:
        await websocket.accept(subprotocol(websocket))
        line = services.lines.take(websocket)
    except BaseException:
        seat()
        raise
    line.on_gone = seat
    try:
        await services.subscribe.follow(reader, state, after, line)
    except BaseException as error:
        line.close(1011)
        if not isinstance(error, HeadraceError):  # else Redis went away after the handshake, say: the client comes again
            await line.settle()
            raise
    await line.settle()
