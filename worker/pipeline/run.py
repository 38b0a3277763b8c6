"""Process one source: the story of a run, from the claim to the end that is said once.

    inbox record      nothing there: it was announced and is over
    ended already?    then only the announcement is missing
    claim             a lease, a fence, an attempt; busy or over: leave it
    stages            fetch → sniff → checksum → extract → store; each tells the channel
    COMMIT            result.json, create-only: the first one wins, for ever
    FINISH            the terminal event, from the committed result
    inbox away        only after the end was said

Whoever dies between two steps leaves a state from which any other worker, or the reconciler, goes on.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from app.domain.errors import ProcessingFailed, Unavailable
from app.domain.ids import Fence, OwnerId, SourceId, new_fence
from app.domain.lease import is_provably_dead, this_worker
from app.domain.results import PREVIEW_CHARACTERS, Moment, RunResult, Text, acceptance, carried, failed
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.ports import Claim, Fetcher, Ledger, ObjectStore
from app.protocol import erase, inbox
from app.protocol.announce import Announcer
from app.protocol.commit import commit, discard
from app.protocol.outcome import outcome
from worker.pipeline import scratch
from worker.pipeline.context import StageContext
from worker.pipeline.lease import Heartbeat, LeaseLost
from worker.pipeline.stages import checksum, extract, fetch, sniff, store

log = logging.getLogger(__name__)

STAGES: tuple[tuple[Stage, ModuleType], ...] = (
    (Stage.FETCH, fetch), (Stage.SNIFF, sniff), (Stage.CHECKSUM, checksum), (Stage.EXTRACT, extract), (Stage.STORE, store),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """What this process works with."""

    store: ObjectStore
    ledger: Ledger
    fetcher: Fetcher
    announcer: Announcer
    scratch: Path
    max_upload_bytes: int
    lease_seconds: float
    timeouts: tuple[type[BaseException], ...] = ()
    """What the task runner raises into the work when its time is over."""


def process(parts: Parts, owner: OwnerId, source: SourceId) -> None:
    """Bring the source's open run to its end, if there is one and nobody else is at it. Raises Unavailable: then it stays open."""
    record = inbox.read(parts.store, owner, source)
    if record is None:
        settle(parts, owner, source)
        return
    past = outcome(parts.store, owner, source)
    if past.deleted:
        bury(parts, owner, source)
    elif past.result is not None and past.result.run >= record.run:
        conclude(parts, owner, record, past.result)
    else:
        attempt(parts, owner, record)


def settle(parts: Parts, owner: OwnerId, source: SourceId) -> None:
    """No inbox record: the end was said. A Redis that lost its tail may not know it, and would open the run for ever.

    A Redis that was wiped knows nothing of the source, and hears nothing.
    """
    live = parts.ledger.record(owner, source)
    if live is None or live.state.is_terminal or inbox.read(parts.store, owner, source) is not None:
        return
    past = outcome(parts.store, owner, source)
    if past.result is not None and past.result.run == live.run:
        parts.ledger.finish(owner, acceptance(past.result), parts.announcer.ended(owner, past.result), state=past.result.state)
    else:
        parts.ledger.forget(owner, source)


def attempt(parts: Parts, owner: OwnerId, record: InboxRecord) -> None:
    """Claim the run, work, commit, say it."""
    fence = new_fence()
    claim = _claim(parts, owner, record, fence)
    if claim.kind in {"busy", "over"}:
        return
    try:
        with Heartbeat(parts.ledger, owner, record, fence=fence, worker=this_worker(), attempt=claim.attempt, lease_seconds=parts.lease_seconds) as heartbeat:
            result = _work(parts, owner, record, fence, claim, heartbeat)
            winner = commit(parts.store, owner, result)
    except LeaseLost:
        log.info("source %s: another worker has taken it", record.source_uuid)
        return
    except Unavailable:
        log.warning("source %s: something is away; put back", record.source_uuid)
        parts.ledger.release(owner, record, fence=fence)
        return
    except SystemExit:  # the process is told to stop; that costs no attempt
        log.info("source %s: told to stop; put back", record.source_uuid)
        with suppress(Unavailable):
            parts.ledger.release(owner, record, fence=fence)
        raise
    if winner is None:
        bury(parts, owner, record.source_uuid)
    else:
        conclude(parts, owner, record, winner)


def conclude(parts: Parts, owner: OwnerId, record: InboxRecord, result: RunResult) -> None:
    """Finish: say the end, then let the inbox record go. Winner, loser and reconciler may all do it; readers hear it once."""
    parts.ledger.finish(owner, record, parts.announcer.ended(owner, result), state=result.state)
    inbox.remove(parts.store, owner, record)


def bury(parts: Parts, owner: OwnerId, source: SourceId) -> None:
    """The source was deleted: remove what came since, say `cancelled`, and let the inbox record go."""
    record = erase.erase(parts.store, owner, source)
    if record is not None:
        parts.ledger.finish(owner, record, parts.announcer.cancelled(record), state=State.CANCELLED)
    erase.close(parts.store, owner, source)


def _claim(parts: Parts, owner: OwnerId, record: InboxRecord, fence: Fence) -> Claim:
    claim = parts.ledger.claim(owner, record, fence=fence, worker=this_worker())
    if claim.kind == "busy" and is_provably_dead(claim.worker):
        claim = parts.ledger.claim(owner, record, fence=fence, worker=this_worker(), dead_worker=claim.worker)
    return claim


def _work(parts: Parts, owner: OwnerId, record: InboxRecord, fence: Fence, claim: Claim, heartbeat: Heartbeat) -> RunResult:
    """The result of this attempt, not yet committed. Raises LeaseLost, Unavailable."""
    if claim.kind == "spent":
        return _with_timeline(parts, owner, failed(owner, record, "crash", fence=fence, attempt=claim.attempt))
    with scratch.folder(parts.scratch) as folder:
        context = StageContext(
            owner=owner, record=record, fence=fence, attempt=claim.attempt, progress=claim.progress, store=parts.store, ledger=parts.ledger,
            fetcher=parts.fetcher, scratch=folder, max_bytes=parts.max_upload_bytes, heartbeat=heartbeat,
        )  # fmt: skip
        failures: tuple[type[BaseException], ...] = (ProcessingFailed, *parts.timeouts)
        try:
            context.milestone("Worker lost. Starting again" if claim.lost else "Source received. Starting to processing")
            for stage, module in STAGES:
                started = time.perf_counter()
                module.run(context)
                context.timings_ms[stage] = round((time.perf_counter() - started) * 1000, 1)
        except failures as error:
            code = error.code if isinstance(error, ProcessingFailed) else "timeout"
            log.info("source %s failed: %s: %s", record.source_uuid, code, error)
            return _failure(parts, context, code)
        except (LeaseLost, Unavailable, SystemExit):
            with suppress(Unavailable):
                discard(parts.store, owner, _success(context))
            raise
        except Exception:
            log.exception("source %s failed in a way that we did not foresee", record.source_uuid)
            return _failure(parts, context, "internal")
        return _with_timeline(parts, owner, _success(context))


def _failure(parts: Parts, context: StageContext, code: str) -> RunResult:
    """What a failed attempt leaves: nothing but the result; the bytes stay, for a retry."""
    discard(parts.store, context.owner, _success(context))
    result = failed(context.owner, context.record, code, fence=context.fence, attempt=context.attempt)
    return _with_timeline(parts, context.owner, result)


def _success(context: StageContext) -> RunResult:
    found, record = context.found, context.record
    text = found.extracted.text
    return RunResult(
        **carried(record) | {"filename": found.filename, "size": found.size},
        fence=context.fence,
        attempt=context.attempt,
        state=State.SUCCEEDED,
        media_type=found.media_type,
        sha256=found.sha256,
        pages=found.extracted.pages,
        encoding=found.extracted.encoding,
        document=found.extracted.document,
        text=Text(
            characters=len(text), words=len(text.split()), truncated=found.extracted.truncated, preview=text[:PREVIEW_CHARACTERS]
        ) if "text" in found.artifacts else None,
        warnings=[*found.warnings, *found.extracted.warnings],
        processor=found.processor,
        timings_ms=context.timings_ms,
        artifacts=found.artifacts,
    )  # fmt: skip


def _with_timeline(parts: Parts, owner: OwnerId, result: RunResult) -> RunResult:
    """The story so far, kept with the result; without it when Redis is away."""
    try:
        timeline = parts.ledger.timeline(owner, result.source_uuid, result.run)
    except Unavailable:
        timeline = []

    return result.model_copy(update={"timeline": [*timeline, Moment(at=result.committed_at, what="committed", attempt=result.attempt)]})
