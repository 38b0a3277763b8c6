"""What the routes ask for. The services stand in `app.state.services`, put there by bootstrap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.addresses import Addresses
from app.api.origins import Origins
from app.api.websocket.lines import Lines
from app.domain.errors import Forbidden, InvalidRequest, RequestTimeout, TooLarge, Unauthorized
from app.domain.identity import Scope
from app.ports import AsyncLedger, Channels, ObjectStore
from app.services.access import Access
from app.services.admission import Admission
from app.services.health import Health
from app.services.offload import Offload
from app.services.pace import Pace
from app.services.principal import Principal
from app.services.reprocess import Reprocess
from app.services.runs import Runs
from app.services.snapshots import Snapshots
from app.services.sockets import Sockets
from app.services.sources import Sources
from app.services.subscribe import Subscribe
from app.services.synchronous import Synchronous
from app.services.throttle import Throttle
from app.services.upload import Upload


@dataclass(frozen=True, slots=True)
class Services:
    access: Access
    throttle: Throttle
    pace: Pace
    admission: Admission
    sockets: Sockets
    lines: Lines
    origins: Origins
    upload: Upload
    sources: Sources
    runs: Runs
    reprocess: Reprocess
    subscribe: Subscribe
    snapshots: Snapshots
    channels: Channels
    ledger: AsyncLedger
    health: Health
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


def _principal(request: Request, services: Services) -> Principal:
    headers = request.headers
    bearers = [value[7:].strip() for value in headers.getlist("authorization") if value[:7].lower() == "bearer "]
    try:
        return services.access.authenticate(headers.getlist("x-api-key"), headers.getlist("x-user-id"), bearers)
    except Unauthorized as error:
        if error.is_guess:
            services.throttle.count(services.addresses.client(request))
        raise


def _may(scope: Scope) -> Callable[[Request, TheServices], Awaitable[Principal]]:
    async def allowed(request: Request, services: TheServices) -> Principal:
        principal = _principal(request, services)
        if scope not in principal.scopes:
            raise Forbidden("scope_missing", f"this credential may not {scope}", scope=scope)
        return principal

    return allowed


# Who is asking, and whether they may: 401 or 403 before a byte of the body is read.
Uploader = Annotated[Principal, Depends(_may(Scope.UPLOAD))]
Reader = Annotated[Principal, Depends(_may(Scope.READ))]
Deleter = Annotated[Principal, Depends(_may(Scope.DELETE))]
Admin = Annotated[Principal, Depends(_may(Scope.ADMIN))]


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


def declared_bytes(request: Request) -> int:
    """What Content-Length says of the body; 0 when it says nothing, or nothing that is a number."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else 0


LEAST_BYTES_PER_SECOND = 1024
"""On average, once the time of a stall is over: far below any network that a person waits at."""


class BodyCut(Exception):
    """The client went away in the middle of its body."""


async def body(request: Request, *, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyCut, and RequestTimeout when nothing comes for so long, or less than LEAST_BYTES_PER_SECOND over more than that."""
    more, received, clock = True, 0, asyncio.get_running_loop().time
    waited = 0.0  # for the client: what we take for ourselves (a budget that is spent, a slow store) is not the client's
    while more:
        left = stall_seconds + received / LEAST_BYTES_PER_SECOND - waited
        asked = clock()
        try:
            async with asyncio.timeout(min(stall_seconds, left)):
                message = await request.receive()
        except TimeoutError:
            raise RequestTimeout(detail="the body stopped coming" if left >= stall_seconds else "the body comes too slowly") from None
        waited += clock() - asked
        if message["type"] == "http.disconnect":
            raise BodyCut
        more = message.get("more_body", False)
        if chunk := message.get("body"):
            received += len(chunk)
            yield chunk
