"""SafeHeaders: what every answer tells a browser, unless it says otherwise itself: keep nothing, guess nothing, run nothing, frame nothing."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = b"content-security-policy"
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),  # tokens stand in some addresses
    (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
)
# FastAPI's pages load their scripts from elsewhere and have one inline. They read openapi.json from us, and call us: nobody else.
_PAGES: Final = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})
_PAGES_POLICY: Final = (
    b"default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    b"font-src https://fonts.gstatic.com; img-src 'self' data: https:; worker-src blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class SafeHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                if scope["path"] in _PAGES:
                    given.append((_POLICY, _PAGES_POLICY))
                    names.add(_POLICY)
                given += [pair for pair in _ALWAYS if pair[0] not in names]
                message = {**message, "headers": given}
            await send(message)

        await self._app(scope, receive, sending)
