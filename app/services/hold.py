"""An upload's hold on its channel while its bytes come: no reader there is closed meanwhile."""

from __future__ import annotations

import time
from contextlib import suppress

from app.domain.errors import Unavailable
from app.domain.ids import ChannelId, OwnerId, UploadId
from app.ports import Channels

_SECONDS = 60
_RENEW_SECONDS = 20


class Hold:
    """Runs out by itself 60 s after the last `renew`. Redis away is no reason to stop an upload, so nothing is raised for it."""

    def __init__(self, channels: Channels, owner: OwnerId, channel: ChannelId, upload: UploadId) -> None:
        self._channels = channels
        self._owner = owner
        self._channel = channel
        self._upload = upload
        self._renewed_at = float("-inf")

    async def renew(self) -> None:
        """Cheap to call with every chunk."""
        now = time.monotonic()
        if now - self._renewed_at >= _RENEW_SECONDS:
            self._renewed_at = now
            await self._set(_SECONDS)

    async def end(self) -> None:
        """The bytes have come, or never will."""
        await self._set(0)

    async def _set(self, seconds: int) -> None:
        with suppress(Unavailable):
            await self._channels.receiving(self._owner, self._channel, self._upload, seconds=seconds)
