"""Snapshots: how each source of a channel stands, for a reader whose history was lost.

The ledger knows what is live; the store knows what has ended, by the channel's markers, and what is accepted, by the inbox.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import NotFound, Unavailable
from app.domain.events import SourceFailed, SourceSnapshot, SourceSucceeded
from app.domain.ids import ChannelId, OwnerId, SourceId
from app.domain.layout import marker_prefix
from app.ports import Channels, ObjectStore
from app.protocol import inbox
from app.services.offload import Offload
from app.services.sources import Sources, View


@dataclass(frozen=True, slots=True)
class Snapshot:
    event: SourceSnapshot
    is_settled: bool
    """Its run has ended and nobody will say so any more; else an end is still to come."""
    ended_at: datetime | None = None

    @property
    def of(self) -> tuple[SourceId, int]:
        """The source and run that it is about."""
        return self.event.source_uuid, self.event.run


@dataclass(frozen=True, slots=True)
class Snapshots:
    channels: Channels
    sources: Sources
    store: ObjectStore
    offload: Offload

    async def __call__(self, owner: OwnerId, channel: ChannelId) -> list[Snapshot]:
        """One of each source, in the order of their ids; deleted ones are left out. Two listings, and some requests a source. Raises Unavailable."""
        names = set(await self.offload(self._stored, owner, channel))
        with suppress(Unavailable):  # the store alone can tell
            names |= set(await self.channels.sources(owner, channel))
        found = await asyncio.gather(*(self.of(owner, name) for name in sorted(names)))
        return [snapshot for snapshot in found if snapshot is not None]

    async def of(self, owner: OwnerId, source: SourceId) -> Snapshot | None:
        """Of one source; None when there is none, or it was deleted. Raises Unavailable."""
        try:
            view = await self.sources.show(owner, source)
        except NotFound:
            return None
        return Snapshot(self._event(owner, source, view), view.is_settled, view.result.committed_at if view.result else None)

    def _stored(self, owner: OwnerId, channel: ChannelId) -> list[SourceId]:
        prefix = marker_prefix(channel, owner)
        found, after = [], ""
        while names := self.store.names(prefix, after=after):
            found += [SourceId(name) for name in names]
            after = names[-1]
        for source in inbox.sources_of(self.store, owner):
            record = inbox.read(self.store, owner, source)
            if record is not None and record.ws_uuid == channel:
                found.append(source)
        return found

    def _event(self, owner: OwnerId, source: SourceId, view: View) -> SourceSnapshot:
        if view.result is None:
            live = view.live
            run = live.run if live else view.record.run if view.record else 1
            attempt, stage, progress = (live.attempt, live.stage, live.progress) if live else (0, None, 0)
            return SourceSnapshot(source_uuid=source, run=run, state=view.state, attempt=attempt, stage=stage, progress=progress)
        end = self.sources.announcer.ended(owner, view.result)
        common = {"source_uuid": source, "run": end.run, "state": view.result.state, "attempt": end.attempt}
        if isinstance(end, SourceSucceeded):
            return SourceSnapshot(**common, progress=100, result=end.result)
        assert isinstance(end, SourceFailed)  # noqa: S101 - there are two kinds of ends
        return SourceSnapshot(**common, code=end.code, error=end.error, retryable=end.retryable)
