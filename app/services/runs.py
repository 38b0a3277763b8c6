"""A source's run, ended or begun again by its owner.

Both are steps of the protocol that any client could meet in a race: the create-only result decides between a cancellation and every other end,
the create-only inbox record among those who begin the next run. Redis may be away or wiped: the store decides, and the reconciler says the rest.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.ids import OwnerId, SourceId, new_fence, new_upload
from app.domain.layout import dead_key
from app.domain.results import Moment, RunResult, acceptance, failed
from app.domain.source import InboxRecord, State
from app.ports import AsyncLedger, ObjectStore
from app.protocol import inbox
from app.protocol.commit import commit
from app.protocol.outcome import Outcome, outcome
from app.services.accept import Accept
from app.services.conclude import Conclude
from app.services.offload import Offload

_TRIES = 8
"""How often we look again when another request was first; each time one got somewhere."""


@dataclass(frozen=True, slots=True)
class Runs:
    store: ObjectStore
    ledger: AsyncLedger
    offload: Offload
    conclude: Conclude
    accept: Accept

    async def cancel(self, owner: OwnerId, source: SourceId) -> None:
        """End the open run as `cancelled`, here and now. A worker that is at it finds out within a second, and has nothing to say any more.

        Repeated, it changes nothing. Raises NotFound, Conflict (`already_ended`: it has succeeded or failed), Unavailable (try again).
        """
        record, past = await self._look(owner, source)
        end = past.result
        if record is not None and not _has_ended(record, past):
            end = await self.offload(commit, self.store, owner, record, await self._cancelled(owner, record))
        if end is None:
            raise _nothing()
        if end.state is not State.CANCELLED:
            raise Conflict("already_ended", f"run {end.run} has ended: {end.state}", state=end.state)
        if record is not None:
            with suppress(Unavailable):
                await self.conclude(owner, record, end)

    async def retry(
        self, owner: OwnerId, source: SourceId, *, run: int | None, base_url: str, traceparent: str | None = None, also_succeeded: bool = False
    ) -> None:
        """Run a source that has ended again, with the bytes that are here. `run`: the one that is meant; then the call may be repeated.

        `also_succeeded`: reprocess it; what stood before stays until the new run has succeeded (docs/adr/0023).
        Raises NotFound, Conflict (`not_ended`, `already_succeeded`, `another_run`, `bytes_gone`), Unavailable (try again).
        """
        for _ in range(_TRIES):
            record, past = await self._look(owner, source)
            latest = past.result
            if record is not None and not _has_ended(record, past):
                if record.run - 1 == run:
                    return
                raise Conflict("not_ended", f"run {record.run} has not ended", run=record.run)
            if latest is None:
                raise _nothing()
            if latest.run - 1 == run:
                return
            if run not in {None, latest.run}:
                raise Conflict("another_run", f"the latest run is {latest.run}", run=latest.run)
            if latest.state is State.SUCCEEDED and not also_succeeded:
                raise Conflict("already_succeeded", "the source was processed")
            if record is not None:
                await self.conclude(owner, record, latest)
            again = await self._again(latest, base_url, traceparent, from_store=also_succeeded)
            if await self.offload(inbox.create, self.store, owner, again):
                await self._open(owner, again)
                return
            run = latest.run  # whoever was first did what we were asked for
        raise Unavailable("contended", "the source's id is being used by several requests at once")

    async def _look(self, owner: OwnerId, source: SourceId) -> tuple[InboxRecord | None, Outcome]:
        """Raises NotFound."""
        record = await self.offload(inbox.read, self.store, owner, source)
        past = await self.offload(outcome, self.store, owner, source)
        if past.deleted or (record is None and past.result is None):
            raise _nothing()
        return record, past

    async def _cancelled(self, owner: OwnerId, record: InboxRecord) -> RunResult:
        """The result, with the story so far; without it when Redis is away."""
        result = failed(owner, record, "cancelled", fence=new_fence())
        timeline: list[Moment] = []
        with suppress(Unavailable):
            live = await self.ledger.record(owner, record.source_uuid)
            if live is not None and live.run == record.run:
                timeline = await self.ledger.timeline(owner, record.source_uuid, record.run)
                result = result.model_copy(update={"attempt": live.attempt})
        return result.model_copy(update={"timeline": [*timeline, Moment(at=result.committed_at, what="cancelled", attempt=result.attempt)]})

    async def _again(self, ended: RunResult, base_url: str, traceparent: str | None, *, from_store: bool) -> InboxRecord:
        """The acceptance of the next run; of a URL that was never fetched it fetches. Raises Conflict when somebody removed the bytes by hand."""
        record = acceptance(ended).rerun(ended.run + 1)
        changes = {"base_url": base_url, "traceparent": traceparent, "accepted_at": datetime.now(UTC)}
        original = ended.artifacts.get("original")
        if record.url is not None and (original is None or not from_store) and not record.stored:
            return record.model_copy(update=changes | {"upload": new_upload()})
        if original is None or await self.offload(self.store.stat, original.key) is None:
            raise Conflict("bytes_gone", "the bytes are no longer here; send them again")
        return record.model_copy(update=changes | {"stored": record.url is not None or None})

    async def _open(self, owner: OwnerId, record: InboxRecord) -> None:
        """Raises NotFound when it was deleted meanwhile."""
        past = await self.accept.open(owner, record)
        if past is not None:
            await self.offload(inbox.remove, self.store, owner, record)
            if past.deleted:
                raise _nothing()
        with suppress(Unavailable):
            await self.offload(self.store.delete, [dead_key(owner, record.source_uuid)])


def _has_ended(record: InboxRecord, past: Outcome) -> bool:
    """Committed, and perhaps not yet said."""
    return past.result is not None and past.result.run >= record.run


def _nothing() -> NotFound:
    return NotFound(detail="no such source")
