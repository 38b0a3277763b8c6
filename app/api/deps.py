"""What the routes ask for. The services stand in `app.state.services`, put there by bootstrap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.addresses import Addresses
from app.api.origins import Origins
from app.api.websocket.lines import Lines
from app.domain.errors import InvalidRequest, RequestTimeout, TooLarge
from app.domain.ids import OwnerId
from app.ports import AsyncLedger, Channels, ObjectStore
from app.services.access import Access
from app.services.admission import Admission
from app.services.offload import Offload
from app.services.snapshots import Snapshots
from app.services.sockets import Sockets
from app.services.sources import Sources
from app.services.subscribe import Subscribe
from app.services.synchronous import Synchronous
from app.services.upload import Upload


@dataclass(frozen=True, slots=True)
class Services:
    access: Access
    admission: Admission
    sockets: Sockets
    lines: Lines
    origins: Origins
    upload: Upload
    sources: Sources
    subscribe: Subscribe
    snapshots: Snapshots
    channels: Channels
    ledger: AsyncLedger
    store: ObjectStore
    offload: Offload
    addresses: Addresses
    synchronous: Synchronous
    secrets: list[str]
    proxy_downloads: bool


# A coroutine, though it waits for nothing: FastAPI would call a plain function in a thread, which costs more than the call.
async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


TheServices = Annotated[Services, Depends(_services)]


async def _owner(request: Request, services: TheServices) -> OwnerId:
    headers = request.headers
    return services.access.authenticate(headers.getlist("x-api-key"), headers.getlist("x-user-id"))


Owner = Annotated[OwnerId, Depends(_owner)]
"""Who is asking; 401 before a byte of the body is read."""


def content_length(request: Request, limit: int) -> int | None:
    """The declared length of the body; None when it comes in chunks. Raises TooLarge over `limit`, from the header alone."""
    value = request.headers.get("content-length")
    if value is None:
        return None
    if not value.isascii() or not value.isdigit():
        raise InvalidRequest("invalid_content_length", "Content-Length is not a number")
    if int(value) > limit:
        raise TooLarge(detail=f"the body may have {limit} bytes", limit=limit)
    return int(value)


class BodyCut(Exception):
    """The client went away in the middle of its body."""


async def body(request: Request, *, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyCut, and RequestTimeout when nothing comes for so long."""
    more = True
    while more:
        try:
            async with asyncio.timeout(stall_seconds):
                message = await request.receive()
        except TimeoutError:
            raise RequestTimeout(detail="the body stopped coming") from None
        if message["type"] == "http.disconnect":
            raise BodyCut
        more = message.get("more_body", False)
        if chunk := message.get("body"):
            yield chunk
