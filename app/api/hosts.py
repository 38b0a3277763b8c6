"""Hosts: the names that we answer to (HEADRACE_ANSWER_HOSTS). Whoever comes under another is refused with 421, sockets too, before anything else is looked at.

A name of somebody else's that leads here (DNS rebinding, a proxy that passes on whatever comes) then reaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.addresses import host_name
from app.api.errors import from_error
from app.api.middleware import Drain
from app.api.safe_headers import SafeHeaders
from app.domain.errors import Misdirected

ANY: Final = "*"
_HEALTH: Final = frozenset({"/healthz", "/readyz"})
"""Asked by address, by whoever runs us; they tell nothing of anybody's."""


class Hosts:
    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in _HEALTH or self._is_ours(Headers(scope=scope).getlist("host")):
            await self._app(scope, receive, send)
            return
        refusal = from_error(Misdirected(detail="this server does not answer to that name"))
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await SafeHeaders(Drain(refusal))(scope, receive, send)

    def _is_ours(self, given: Sequence[str]) -> bool:
        return len(given) == 1 and host_name(given[0]) in self._allowed
