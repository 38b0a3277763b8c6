"""Accept: the moment from which an upload cannot be lost. The story of every upload, whichever way it came.

    1  the bytes are durable                     (staging.py; small ones travel in the record, for a URL there are none yet)
    2  inbox record, create-only                 = the acceptance, and the claim on the id
       beside 1 or 2: has the source a past?     then the record is taken back, and the answer is alike
    3  one script in Redis                       record + first event + Celery message
    4  answer

The source may end between the look and the claim, by another request's run. Redis tells: it keeps an ended run for longer than an
acceptance takes (docs/adr/0012, 0025). Where it knows the run already, or is away, the store is asked again, and the record is taken back
if there is a past now. Redis away: the acceptance is durable, so the answer is the same; it is enqueued when Redis is back, by this process
(owed.py), or by the reconciler, which finds the inbox record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from app.domain.errors import Conflict, HeadraceError, Unavailable
from app.domain.ids import OwnerId, SourceId, UploadId
from app.domain.layout import object_key
from app.domain.results import RunResult
from app.domain.source import InboxRecord, State
from app.ports import AsyncLedger, ObjectStore
from app.protocol import inbox
from app.protocol.announce import Announcer
from app.protocol.outcome import Outcome, outcome
from app.services.conclude import Conclude
from app.services.offload import Offload
from app.services.owed import Owed

log = logging.getLogger(__name__)

_TRIES = 8
"""How often we look again when the id's record came and went between two looks; each time another request got somewhere."""


@dataclass(frozen=True, slots=True)
class Accept:
    store: ObjectStore
    ledger: AsyncLedger
    offload: Offload
    announcer: Announcer
    owed: Owed
    conclude: Conclude

    async def look(self, owner: OwnerId, source: SourceId) -> Outcome:
        """What the source has come to before. Raises Unavailable."""
        return await self.offload(outcome, self.store, owner, source)

    async def __call__(self, owner: OwnerId, record: InboxRecord, *, past: Outcome | None = None, receiving: UploadId | None = None) -> None:
        """Accept the source. When this returns, it will be finished and its end will be said.

        The same bytes under the same id are the same upload, sent again: nothing is done twice. After a failed run they are a new
        run. `past` is what `look` found since the request came. Raises Conflict (other bytes, or the source was deleted; what was
        staged is removed), Unavailable (try again).
        """
        for _ in range(_TRIES):
            if past is None and record.run == 1:
                is_ours, past = await self._claim(owner, record)
            else:
                async with self._or_drop(owner, record):
                    past = past or await self.look(owner, record.source_uuid)
                    if await self._answered_by(owner, record, past):
                        break
                record, past = record if past.result is None else record.rerun(past.result.run + 1), None
                is_ours = await self.offload(inbox.create, self.store, owner, record)
            if is_ours:
                past = past or await self.open(owner, record, receiving)
                if past is None:
                    return
                await self.offload(inbox.remove, self.store, owner, record)
                continue
            past = None
            async with self._or_drop(owner, record):
                if await self._claimed_before(owner, record, receiving):
                    break
        else:
            await self._drop_bytes(owner, record)
            raise Unavailable("contended", "the source's id is being used by several requests at once")
        await self._drop_bytes(owner, record)

    async def _claim(self, owner: OwnerId, record: InboxRecord) -> tuple[bool, Outcome | None]:
        """Whether the id is claimed by this record now; and its past, if it has one. Both at once, since nearly no source has one.

        Of a first run only: where there is a past, no other request takes such a claim for one to be answered by, so it can be taken back.
        When either fails the claim stands, if there is one: another request may have been answered by it.
        """
        claiming, looking = self.offload(inbox.create, self.store, owner, record), self.look(owner, record.source_uuid)
        is_ours, past = await asyncio.gather(claiming, looking, return_exceptions=True)
        if isinstance(is_ours, BaseException):
            raise is_ours
        if isinstance(past, BaseException):
            if not is_ours:
                await self._drop_bytes(owner, record)
            raise past
        return is_ours, past if past.deleted or past.result else None

    async def _answered_by(self, owner: OwnerId, record: InboxRecord, past: Outcome) -> bool:
        """Answer alike: True when there is nothing more to do, False when a run is due."""
        if past.deleted:
            raise _deleted()
        if past.result is None:
            return False
        if past.result.digest != record.digest:
            raise _mismatch()
        if past.result.state is not State.SUCCEEDED:
            return False
        await self._say_again(owner, record, past.result)
        return True

    async def open(self, owner: OwnerId, record: InboxRecord, receiving: UploadId | None = None) -> Outcome | None:
        """Enqueue what was claimed; a past that came between the look and the claim, or None: then it is accepted."""
        if await self._enqueue(owner, record, receiving):
            return None
        past = await self.look(owner, record.source_uuid)
        return past if past.deleted or (past.result is not None and past.result.run >= record.run) else None

    async def _claimed_before(self, owner: OwnerId, record: InboxRecord, receiving: UploadId | None) -> bool:
        """Answer like the claim that is there: True when there is nothing more to do, False when it has gone.

        What it claims may have ended: then its end has yet to be said, or another request is just taking it back.
        """
        current = await self.offload(inbox.read, self.store, owner, record.source_uuid)
        if current is None:
            return False
        past = await self.look(owner, record.source_uuid)
        if past.deleted:
            raise _deleted()
        ended = past.result if past.result is not None and past.result.run >= current.run else None
        if record.digest != (ended or current).digest:
            raise _mismatch()
        if ended is None:
            await self._enqueue(owner, current, receiving)
        elif ended.state is State.SUCCEEDED:
            await self._say_again(owner, record, ended)
        else:
            await self.conclude(owner, current, ended)
            return False
        return True

    async def _say_again(self, owner: OwnerId, record: InboxRecord, result: RunResult) -> None:
        """The channel may be another one than then, and its reader waits for an end."""
        try:
            await self.ledger.finish(owner, record.rerun(result.run), self.announcer.ended(owner, result), state=result.state)
        except Unavailable:
            log.warning("Redis is away; the end of a source that was sent again is not repeated")

    async def _enqueue(self, owner: OwnerId, record: InboxRecord, receiving: UploadId | None) -> bool:
        """False when the ledger has the run already, or cannot tell."""
        try:
            return await self.ledger.accept(owner, record, receiving=receiving)
        except Unavailable:
            log.warning("accepted while Redis is away; enqueued when it is back")
            self.owed.add(("source", owner, record.source_uuid), partial(self._enqueue_late, owner, record.packed(None)))
            return False

    async def _enqueue_late(self, owner: OwnerId, record: InboxRecord) -> None:
        """Unless the reconciler was faster, and the end was said. Raises Unavailable."""
        if await self.offload(inbox.holds, self.store, owner, record):
            await self.ledger.accept(owner, record)

    @asynccontextmanager
    async def _or_drop(self, owner: OwnerId, record: InboxRecord) -> AsyncIterator[None]:
        """For what cannot have claimed the id: when it fails, nobody names the bytes."""
        try:
            yield
        except HeadraceError:
            await self._drop_bytes(owner, record)
            raise

    async def _drop_bytes(self, owner: OwnerId, record: InboxRecord) -> None:
        if record.url is None and record.body is None:
            with suppress(Unavailable):  # then nobody names them, and the daily sweep takes them
                await self.offload(self.store.delete, [object_key(owner, record.upload)])


def _deleted() -> Conflict:
    return Conflict("deleted", "the source was deleted; its id is not used again")


def _mismatch() -> Conflict:
    return Conflict("digest_mismatch", "the id is taken by other bytes")
