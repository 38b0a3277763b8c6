"""The handshake of a channel's socket: everything that is decided before it is accepted."""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote_plus

from fastapi import WebSocket

from app.api.deps import Services
from app.domain.channel import ChannelState
from app.domain.errors import Forbidden, Unauthorized
from app.domain.ids import channel_id
from app.services.reader import Reader

_SUBPROTOCOL = "headrace"
_TOKEN = "headrace.token."  # noqa: S105 - a prefix, not a password


async def joined(websocket: WebSocket, ws_uuid: str, services: Services) -> tuple[Reader, ChannelState]:
    """A reader of the channel that the client may watch, counted as one more socket of it: whoever calls this detaches it, and calls `services.sockets.leave`.

    Raises InvalidRequest, Unauthorized, Forbidden, NotFound, TooManySockets, TooManyGuesses, Unavailable; then nothing is counted.
    """
    headers = websocket.headers
    origins = headers.getlist("origin")
    if origins and not services.origins.allow(origins, services.addresses.base_url(websocket)):
        raise Forbidden("origin_refused", "pages of this origin may not connect; HEADRACE_CORS_ORIGINS lists those that may")
    channel = channel_id(ws_uuid)
    try:
        found = await services.admission.admit(channel, api_keys=headers.getlist("x-api-key"), user_ids=headers.getlist("x-user-id"), token=_token(websocket))
    except Unauthorized as error:
        if error.is_guess:
            services.throttle.count(services.addresses.client(websocket))
        raise
    services.sockets.enter(found.owner, channel)
    try:
        reopen = partial(services.access.own, found.owner, channel, registered=found.is_registered)
        return await services.subscribe.join(found.owner, channel, reopen)
    except BaseException:
        services.sockets.leave(found.owner, channel)
        raise


def subprotocol(websocket: WebSocket) -> str | None:
    """What to answer: our own name where it was offered. Never the one that carries the token."""
    return _SUBPROTOCOL if _SUBPROTOCOL in websocket.scope.get("subprotocols", ()) else None


def _token(websocket: WebSocket) -> str | None:
    """From the subprotocol, which no log and no history of a browser has; else from the query."""
    for offered in websocket.scope.get("subprotocols", ()):
        if offered.startswith(_TOKEN):
            return str(offered.removeprefix(_TOKEN))
    return next(reversed(asked(websocket.scope["query_string"], "token")), None)


def asked(query: bytes, name: str) -> list[str]:
    """The values of one parameter of a query, in their order. Of these two at most are looked for, and a whole QueryParams costs more than both."""
    pairs = (pair.partition("=") for pair in query.decode("latin-1").split("&"))
    return [unquote_plus(value) for key, _, value in pairs if unquote_plus(key) == name]
