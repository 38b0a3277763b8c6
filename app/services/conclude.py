"""Conclude, where the API does it: the end of a run that is committed and not yet said. worker/pipeline/run.py has its twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from app.domain.ids import OwnerId
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.ports import AsyncLedger, ObjectStore
from app.protocol import inbox, outbox
from app.protocol.announce import Announcer
from app.protocol.outbox import Targets
from app.protocol.supersede import supersede
from app.services.offload import Offload


@dataclass(frozen=True, slots=True)
class Conclude:
    store: ObjectStore
    ledger: AsyncLedger
    offload: Offload
    announcer: Announcer
    targets: Targets = field(default_factory=Targets)

    async def __call__(self, owner: OwnerId, record: InboxRecord, result: RunResult) -> None:
        """Keep what outside has to hear of it, say it, and let the inbox record go.

        Raises Unavailable: then the reconciler finds the record, and goes on from here.
        """
        if self.targets.of(owner, result):
            await self.offload(partial(outbox.post, self.store, owner, result, self.targets, waits=False))
        await self.ledger.finish(owner, record, self.announcer.ended(owner, result), state=result.state)
        await self.offload(supersede, self.store, owner, result)
        await self.offload(inbox.remove, self.store, owner, record)
