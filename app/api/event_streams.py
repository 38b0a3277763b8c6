"""Server-sent events: the channel's messages for clients that cannot open a WebSocket. `id:` is the position, so a browser resumes by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from app.api.deps import Reader, Services, TheServices
from app.api.openapi import EVENT_STREAM, PROBLEMS
from app.api.seated import Seated
from app.domain.errors import NotFound
from app.domain.ids import ChannelId, OwnerId, SourceId, channel_id, source_id
from app.domain.position import Position, start
from app.domain.wire import parse
from app.services.mailbox import Closed, Mailbox

PREFIXES = ("/public", "/public/user", "/api/v1")

_QUIET_SECONDS = 15.0
"""After so long without a message a comment is sent: proxies close what is silent, and a client that is gone is noticed."""
_END = format_sse_event(event="end", data_str="{}")
"""All is told. A client closes here, or its EventSource would connect again."""
_RETRY_MS = (1000, 5000)
"""A stopping process sends many away at once."""

router = APIRouter(tags=["events"], responses=PROBLEMS)


@router.get("/channels/{ws_uuid}/events", openapi_extra=EVENT_STREAM, response_class=StreamingResponse)
async def channel_events(ws_uuid: str, request: Request, reader: Reader, services: TheServices) -> Response:
    """The channel's messages as server-sent events: as on the WebSocket, and closed by the same rule."""
    after = start(request.headers.getlist("last-event-id"))
    channel = channel_id(ws_uuid)
    await services.access.own(reader.owner, channel, registered=False)
    return _seated(services, reader.owner, channel, after)


@router.get("/sources/{source}/events", openapi_extra=EVENT_STREAM, response_class=StreamingResponse)
async def source_events(source: str, request: Request, reader: Reader, services: TheServices) -> Response:
    """One source's messages as server-sent events, until its end. Where it has ended before, a snapshot alone."""
    after = start(request.headers.getlist("last-event-id"))
    name = source_id(source, "id")
    view = await services.sources.show(reader.owner, name)
    of = view.result or view.record
    if of is None or view.is_settled:
        return EventSourceResponse(_snapshot(services, reader.owner, name), headers={"Cache-Control": "no-store"})
    await services.access.own(reader.owner, of.ws_uuid, registered=True)
    return _seated(services, reader.owner, of.ws_uuid, after, only=name)


def _seated(services: Services, owner: OwnerId, channel: ChannelId, after: Position | None, *, only: SourceId | None = None) -> Response:
    mailbox = Mailbox()
    messages = services.subscribe(owner, channel, after, mailbox)
    return Seated(services, owner, channel, mailbox, _until_closed(_frames(services, owner, messages, only)))


async def _until_closed(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """No `end` where there is more to come: the client connects again, after a pause of its own."""
    yield KEEPALIVE_COMMENT  # the answer begins now, not with the first message
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    except Closed:
        yield b"retry: %d\n\n" % random.randint(*_RETRY_MS)  # noqa: S311 - spreads the clients; no secret


async def _frames(services: Services, owner: OwnerId, messages: AsyncGenerator[bytes, None], only: SourceId | None) -> AsyncGenerator[bytes, None]:
    async with aclosing(messages), aclosing(_with_pauses(messages)) as paced:
        async for message in paced:
            if message is None:
                yield KEEPALIVE_COMMENT
                if only is not None and (await services.sources.show(owner, only)).is_settled:
                    break  # its end was told before we came, or a wipe took it
                continue
            event = parse(message)
            if only is not None and (event["event"] == "batch" or event.get("source-uuid", only) != only):
                continue
            yield _frame(message)
            if only is not None and event.get("status") in {"success", "failure"}:
                yield _END
                return
    if only is not None:
        async with aclosing(_snapshot(services, owner, only)) as last:
            async for frame in last:
                yield frame
    else:
        yield _END


async def _snapshot(services: Services, owner: OwnerId, source: SourceId) -> AsyncGenerator[bytes, None]:
    found = await services.snapshots.of(owner, source)
    if found is None:
        raise NotFound(detail="no such source")
    yield _frame(found.event.to_json())
    yield _END


def _frame(message: bytes) -> bytes:
    event = parse(message)
    return format_sse_event(event=event["event"], data_str=message.decode(), id=event.get("event-id"))


async def _with_pauses(messages: AsyncIterator[bytes]) -> AsyncGenerator[bytes | None, None]:
    """The messages; None when none came for so long."""
    coming: asyncio.Task[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_one(messages))
            done, _ = await asyncio.wait({coming}, timeout=_QUIET_SECONDS)
            if not done:
                yield None
                continue
            try:
                message = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming = None
            yield message
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _one(messages: AsyncIterator[bytes]) -> bytes:
    return await anext(messages)
