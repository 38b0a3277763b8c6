"""Receipt: while a long body comes in, its channel hears how much has come."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from app.domain.errors import Unavailable
from app.domain.events import SourceReceiving
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.ports import Channels

_SECONDS = 0.5
"""Between two messages, and before the first: a body that is over sooner needs no bar."""


class Receipt:
    """Of one request's body. The body never waits for it: while one message is on its way no other is made, and with Redis away none arrives.

    Nothing of it is kept, so a body that is refused or cut leaves nothing to take back.
    """

    def __init__(self, channels: Channels, owner: OwnerId, channel: ChannelId, size: int | None) -> None:
        """`size`: bytes of the whole body; None when the client did not say."""
        self._channels = channels
        self._owner = owner
        self._channel = channel
        self._size = size
        self._said_at = time.monotonic()
        self._saying: asyncio.Task[None] | None = None

    def came(self, source: SourceId, received: int) -> None:
        """So many bytes of the body so far, the latest of them of this source. Cheap to call with every chunk."""
        now = time.monotonic()
        if now - self._said_at >= _SECONDS and (self._saying is None or self._saying.done()):
            self._said_at = now
            self._saying = asyncio.create_task(self._say(SourceReceiving.of(source, received, self._size)))

    def end(self) -> None:
        """The body has come, or never will: what is still on its way would come late."""
        if self._saying is not None:
            self._saying.cancel()

    async def _say(self, event: SourceReceiving) -> None:
        with suppress(Unavailable):
            await self._channels.receipt(self._owner, self._channel, event)
