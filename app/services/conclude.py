"""Conclude, where the API does it: the end of a run that is committed and not yet said. worker/pipeline/run.py has its twin."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import OwnerId
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.ports import AsyncLedger, ObjectStore
from app.protocol import inbox
from app.protocol.announce import Announcer
from app.protocol.deliver import Deliver
from app.services.offload import Offload


@dataclass(frozen=True, slots=True)
class Conclude:
    store: ObjectStore
    ledger: AsyncLedger
    offload: Offload
    announcer: Announcer
    deliver: Deliver

    async def __call__(self, owner: OwnerId, record: InboxRecord, result: RunResult) -> None:
        """Deliver it, say it, and let the inbox record go. Raises Unavailable: then the reconciler finds the record, and goes on from here."""
        if self.deliver.deliverers:
            await self.offload(self.deliver, owner, result)
        await self.ledger.finish(owner, record, self.announcer.ended(owner, result), state=result.state)
        await self.offload(inbox.remove, self.store, owner, record)
