"""The requests that are under way, so that a process that stops lets each of them clean up behind itself, and answers it."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import from_error
from app.domain.errors import Unavailable


class Running:
    """The server gives running requests their time, then cancels what is left, and waits for nobody. An upload that is cancelled aborts its transfer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[object]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task() if scope["type"] == "http" else None
        if task is None:
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def sending(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        self._tasks.add(task)
        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if is_answered:
                raise
            refusal = from_error(Unavailable("stopping", "this process is stopping, and the request did not end in time"))
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
        finally:
            self._tasks.discard(task)

    async def ended(self, seconds: float) -> None:
        """Returns when none is left, or after so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
