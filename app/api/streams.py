"""The WebSocket of a channel: the server speaks, the client listens."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.api.deps import Services, TheSocketServices
from app.api.errors import from_error
from app.api.handshake import admitted, subprotocol
from app.domain.errors import HeadraceError
from app.domain.ids import ChannelId, OwnerId
from app.domain.position import Position, start

PATHS = ("/ws/{ws_uuid}", "/user/ws/{ws_uuid}", "/public/ws/{ws_uuid}", "/public/user/ws/{ws_uuid}")

_CANCEL_SECONDS = 5

router = APIRouter()


async def watch_channel(websocket: WebSocket, ws_uuid: str, services: TheSocketServices) -> None:
    """History, then live; closed with 1000 when the channel has nothing more to tell. Refused (400 to 503) before it is accepted."""
    try:
        after = start(websocket.query_params.getlist("after"))
        owner, channel = await admitted(websocket, ws_uuid, services)
    except HeadraceError as error:
        await websocket.send_denial_response(from_error(error))
        return
    try:
        await websocket.accept(subprotocol(websocket))
        await _serve(websocket, services, owner, channel, after)
    finally:
        services.sockets.leave(owner, channel)


async def _serve(websocket: WebSocket, services: Services, owner: OwnerId, channel: ChannelId, after: Position | None) -> None:
    telling = asyncio.create_task(_tell(websocket, services, owner, channel, after))
    listening = asyncio.create_task(_listen(websocket))
    _, pending = await asyncio.wait({telling, listening}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    # Bounded: redis-py may lose a cancellation that meets a command which was just sent, and the task then ends with its next answer.
    if pending:
        await asyncio.wait(pending, timeout=_CANCEL_SECONDS)
    for task in (task for task in pending if task.done()):
        _ = task.cancelled() or task.exception()  # looked at, or the loop complains
    if telling in pending:
        return
    try:
        code = 1000 if telling.exception() is None else 1011
        await websocket.close(code)
    except (RuntimeError, WebSocketDisconnect):  # gone in the same moment
        return


async def _tell(websocket: WebSocket, services: Services, owner: OwnerId, channel: ChannelId, after: Position | None) -> None:
    async with aclosing(services.subscribe(owner, channel, after)) as messages:
        async for message in messages:
            await websocket.send_text(message.decode())


async def _listen(websocket: WebSocket) -> None:
    """Until the client goes. What it sends is dropped: nothing is expected of it."""
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.receive_text()


for path in PATHS:
    router.add_api_websocket_route(path, watch_channel)
