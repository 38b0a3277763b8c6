"""The synchronous calls: accept like any upload, then wait for the end of the very same processing."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from app.domain.errors import HeadraceError, NotFound, ProcessingFailed, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.domain.results import RunResult
from app.ports import ObjectStore
from app.protocol import inbox
from app.protocol.outcome import outcome
from app.services.offload import Offload
from app.services.sources import Sources, View
from app.services.subscribe import Subscribe

_LOOK_SECONDS = 5.0
"""How often we look into the store itself: no event comes while Redis is away, or when the run is on another request's channel."""
_PAUSE_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60


class StillProcessing(HeadraceError):
    """The source goes on; its state can be asked for."""

    status = 504
    code = "still_processing"
    retryable = True


def own_channel() -> ChannelId:
    """A channel for a call that names none."""
    return ChannelId(str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Synchronous:
    store: ObjectStore
    offload: Offload
    subscribe: Subscribe
    timeout_seconds: float

    async def end_of(self, owner: OwnerId, channel: ChannelId, source: SourceId) -> RunResult:
        """The committed result of the source's run.

        Raises StillProcessing after the timeout (the source is not touched by that), ProcessingFailed when the source is deleted.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._wait(owner, channel, source)
        except TimeoutError:
            raise StillProcessing(detail="the source is still being processed") from None

    async def settled(self, sources: Sources, owner: OwnerId, source: SourceId, seconds: float) -> View:
        """The source when its run has ended, or as it stands after so long. Raises NotFound, Unavailable."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            view = await sources.show(owner, source)
            left = until - asyncio.get_running_loop().time()
            of = view.result or view.record
            if view.state.is_terminal or left <= 0 or of is None:
                return view
            try:
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self.subscribe.end_of(owner, of.ws_uuid, source, view.run)
            except (Unavailable, NotFound):
                await asyncio.sleep(min(left, _PAUSE_SECONDS))
            except TimeoutError:
                pass

    async def _wait(self, owner: OwnerId, channel: ChannelId, source: SourceId) -> RunResult:
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.subscribe.end_of(owner, channel, source)
            except (Unavailable, NotFound):
                await asyncio.sleep(_PAUSE_SECONDS)
            except TimeoutError:
                pass
            record = await self.offload(inbox.read, self.store, owner, source)
            past = await self.offload(outcome, self.store, owner, source)
            if past.deleted:
                raise ProcessingFailed("cancelled")
            if past.result is not None and (record is None or record.run <= past.result.run):
                return past.result
