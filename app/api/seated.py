"""An event stream that has a seat among the open sockets: counted with them, and closed with them when the process stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from fastapi.sse import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.deps import Services
from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId
from app.services.mailbox import Mailbox

_STUCK_SECONDS = 60.0
"""A client that takes nothing for so long has given up its seat. The same that a socket has to answer a ping."""


class Seated(EventSourceResponse):
    """Implements lines.Stream. Raises TooManySockets, and Unavailable in a process that stops: then nothing is counted."""

    def __init__(self, services: Services, owner: OwnerId, channel: ChannelId, mailbox: Mailbox, frames: AsyncGenerator[bytes, None]) -> None:
        """`frames` ends by itself when the mailbox is closed."""
        super().__init__(frames, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        if services.lines.is_draining:
            raise Unavailable("stopping", "this process is stopping; another one answers soon")
        services.sockets.enter(owner, channel)
        self._services = services
        self._of = owner, channel
        self._mailbox = mailbox
        self._frames = frames
        self._limit = asyncio.timeout(None)
        self.is_open = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            self._set(asyncio.get_running_loop().time() + _STUCK_SECONDS)
            await send(message)
            self._set(None)

        self._services.lines.admit(self)
        try:
            with suppress(TimeoutError):
                async with self._limit:
                    await super().__call__(scope, receive, bounded)
        finally:
            self.is_open = False
            await self._frames.aclose()  # it stands at a `yield` when the client took nothing
            self._services.lines.dismiss(self)
            self._services.sockets.leave(*self._of)

    def _set(self, when: float | None) -> None:
        if not self._limit.expired():
            self._limit.reschedule(when)

    def close(self, code: int) -> None:
        self.is_open = False
        self._mailbox.close(code)

    def cut(self) -> None:
        self._set(0)
