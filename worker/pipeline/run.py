"""Process one source: the story of a run, from the claim to the end that is said once.

    inbox record      nothing there: it was announced and is over
    ended already?    then only the announcement is missing
    claim             a lease, a fence, an attempt; busy or over: leave it
    stages            fetch → guard → sniff → scan → checksum → extract → thumbnail → chunk → embed → store; each tells the channel
    COMMIT            result.json, create-only: the first one wins, for ever
    deliver           to whoever must have heard of it before the client
    FINISH            the terminal event, from the committed result
    inbox away        only after the end was said

Whoever dies between two steps leaves a state from which any other worker, or the reconciler, goes on. What is away is waited for; then the
run is given back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.domain.errors import ProcessingFailed, Unavailable
from app.domain.ids import Fence, OwnerId, SourceId, new_fence
from app.domain.layout import dead_key, object_key
from app.domain.lease import is_provably_dead, this_worker
from app.domain.results import Chunks, Heading, Moment, RunResult, Size, acceptance, carried, failed
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.ports import Claim, Fetcher, Ledger, ObjectStore, Scanner
from app.protocol import erase, inbox, outbox
from app.protocol.announce import Announcer
from app.protocol.commit import commit, discard
from app.protocol.deliver import Deliver
from app.protocol.outbox import Targets
from app.protocol.outcome import outcome
from app.protocol.supersede import supersede
from headrace_plugin import Limits
from worker.guards.limits import Unpacked
from worker.isolation.parser import Parser
from worker.isolation.parser_host import ParserHost
from worker.pipeline import disk, scratch
from worker.pipeline.context import Findings, StageContext
from worker.pipeline.lease import Heartbeat, LeaseLost
from worker.pipeline.patience import Patience, PatientStore
from worker.pipeline.stages.checksum import Checksum
from worker.pipeline.stages.chunk import Chunk
from worker.pipeline.stages.embed import Embed
from worker.pipeline.stages.extract import Extract
from worker.pipeline.stages.fetch import Fetch
from worker.pipeline.stages.guard import Guard
from worker.pipeline.stages.scan import Scan
from worker.pipeline.stages.sniff import Sniff
from worker.pipeline.stages.store import Store
from worker.pipeline.stages.thumbnail import Thumbnail
from worker.pipeline.step import Step
from worker.pipeline.story import Story

log = logging.getLogger(__name__)

fetch, guard, sniff, checksum, extract, thumbnail, store = Fetch(), Guard(), Sniff(), Checksum(), Extract(), Thumbnail(), Store()
STAGES: tuple[Step, ...] = (fetch, guard, sniff, checksum, extract, thumbnail, store)


def scanned(scanner: Scanner) -> tuple[Step, ...]:
    """The stages where there is a virus scanner: no processor gets what it has not seen."""
    after = STAGES.index(checksum)
    return (*STAGES[:after], Scan(scanner), *STAGES[after:])


def chunked(steps: tuple[Step, ...], *more: Chunk | Embed) -> tuple[Step, ...]:
    """The stages where somebody wants chunks, and perhaps embeddings of them."""
    before = steps.index(store)
    return (*steps[:before], *more, *steps[before:])


_LOOK_SECONDS = 5.0
"""Before the claim nobody holds the run, and the reconciler brings it back; this is for what is away for a moment."""

_GIVE_BACK_SECONDS = 20.0
"""Less than what is between the two time limits of a task (celeryconfig.py)."""

_ENDING_PAUSE_SECONDS = 1.0
"""Sooner than the reconciler finds the result: whoever says the end first cuts off what this attempt still has to tell."""

_PARSING = frozenset({Stage.EXTRACT, Stage.THUMBNAIL, Stage.CHUNK, Stage.EMBED})
"""Where time that is over says something about the document."""

Trying = Callable[..., Any]
"""How a call is made that may find something away."""


def at_once(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Once. Whoever asked has other things to do, and comes back."""
    return call(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Hold:
    """One attempt's hold on a run, and what it works with as long as it has it."""

    claim: Claim
    fence: Fence
    heartbeat: Heartbeat
    story: Story
    patience: Patience
    store: ObjectStore


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
    outage_seconds: float = 120
    deliver: Deliver = field(default_factory=Deliver)
    targets: Targets = field(default_factory=Targets)
    parser: Parser = field(default_factory=ParserHost)
    limits: Limits = field(default_factory=Limits)
    """Of one reading."""
    unpacked: Unpacked = field(default_factory=Unpacked)
    """What a file may unpack to."""
    accept_types: tuple[str, ...] = ("*",)
    """Patterns of the media types that are taken."""
    stages: tuple[Step, ...] = STAGES
    timeouts: tuple[type[BaseException], ...] = ()
    """What the task runner raises into the work when its time is over."""


def process(parts: Parts, owner: OwnerId, source: SourceId) -> None:
    """Bring the source's open run to its end, if there is one and nobody else is at it. Raises Unavailable: then it stays open."""
    store = PatientStore(parts.store, Patience(min(parts.outage_seconds, _LOOK_SECONDS), time.sleep))
    record = inbox.read(store, owner, source)
    if record is None:
        settle(parts, owner, source)
        return
    past = outcome(store, owner, source)
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
    """Claim the run, work, commit, say it. However that ends, the run is over, or another's, or given back; only a death leaves it to its lease."""
    fence = new_fence()
    claim = _claim(parts, owner, record, fence)
    if claim.kind in {"busy", "waits", "over"}:
        return
    with Heartbeat(parts.ledger, owner, record, fence=fence, worker=this_worker(), attempt=claim.attempt, lease_seconds=parts.lease_seconds) as heartbeat:
        patience = Patience(parts.outage_seconds, heartbeat.pause)
        story = Story(parts.ledger, owner, record, fence=fence, attempt=claim.attempt, heartbeat=heartbeat)
        hold = _Hold(claim, fence, heartbeat, story, patience, PatientStore(parts.store, patience))
        ending = Patience(parts.outage_seconds, time.sleep, longest_pause_seconds=_ENDING_PAUSE_SECONDS)
        try:
            result = _work(parts, owner, record, hold)
            if result.spent:
                hold.store.put(dead_key(owner, record.source_uuid), b"")
            winner = commit(hold.store, owner, record.packed(None), result)  # `_work` has unpacked it
            ending(story.catch_up)
            patient = replace(parts, store=PatientStore(parts.store, ending))
            if winner is None:
                bury(patient, owner, record.source_uuid, trying=ending)
            else:
                conclude(patient, owner, record, winner, trying=ending)
        except LeaseLost:
            log.info("source %s: cancelled, or another worker has taken it", record.source_uuid)
        except Unavailable:
            log.warning("source %s: something is away; put back", record.source_uuid)
            _give_back(parts, owner, record, fence)
        except parts.timeouts:
            log.warning("source %s: no end in its time; put back", record.source_uuid)
            _give_back(parts, owner, record, fence, overran=not patience.has_waited)
        except SystemExit:  # the process is told to stop; that costs no attempt
            log.info("source %s: told to stop; put back", record.source_uuid)
            with suppress(Unavailable):
                parts.ledger.release(owner, record, fence=fence)
            raise


def conclude(parts: Parts, owner: OwnerId, record: InboxRecord, result: RunResult, *, trying: Trying = at_once) -> None:
    """Outbox, deliver, finish: say the end, then let the inbox record go. Winner, loser and reconciler may all do it; readers hear it once."""
    if result.code == "infected":
        parts.store.delete([object_key(owner, record.upload)])
    outbox.post(parts.store, owner, result, parts.targets)
    parts.deliver(owner, result)
    trying(parts.ledger.finish, owner, record, parts.announcer.ended(owner, result), state=result.state)
    supersede(parts.store, owner, result)
    inbox.remove(parts.store, owner, record)


def bury(parts: Parts, owner: OwnerId, source: SourceId, *, trying: Trying = at_once) -> None:
    """The source was deleted: remove what came since, say `cancelled`, and let the inbox record go. There is no result to deliver."""
    record = erase.erase(parts.store, owner, source)
    if record is not None:
        trying(parts.ledger.finish, owner, record, parts.announcer.cancelled(record), state=State.CANCELLED)
    erase.close(parts.store, owner, source)


def _claim(parts: Parts, owner: OwnerId, record: InboxRecord, fence: Fence) -> Claim:
    claim = parts.ledger.claim(owner, record, fence=fence, worker=this_worker())
    if claim.kind == "busy" and is_provably_dead(claim.worker):
        claim = parts.ledger.claim(owner, record, fence=fence, worker=this_worker(), dead_worker=claim.worker)
    return claim


def _give_back(parts: Parts, owner: OwnerId, record: InboxRecord, fence: Fence, *, overran: bool = False) -> None:
    """Redis may be away too. When it stays so the lease runs out, and that costs an attempt."""
    with suppress(Unavailable):
        Patience(min(parts.outage_seconds, _GIVE_BACK_SECONDS), time.sleep)(parts.ledger.release, owner, record, fence=fence, overran=overran)


def _work(parts: Parts, owner: OwnerId, record: InboxRecord, hold: _Hold) -> RunResult:
    """The result of this attempt, not yet committed. Raises LeaseLost, Unavailable, `parts.timeouts`."""
    claim = hold.claim
    if claim.kind == "spent":
        inbox.unpack(hold.store, owner, record)
        return _with_timeline(parts, owner, failed(owner, record, claim.code, fence=hold.fence, attempt=max(1, claim.attempt - 1), spent=True))
    with disk.refusals(), scratch.folder(parts.scratch) as folder:
        context = StageContext(
            owner=owner, record=record, fence=hold.fence, attempt=claim.attempt, progress=claim.progress, store=hold.store,
            story=hold.story, fetcher=parts.fetcher, parser=parts.parser, limits=parts.limits, unpacked=parts.unpacked, scratch=folder,
            max_bytes=parts.max_upload_bytes, heartbeat=hold.heartbeat, accept_types=parts.accept_types,
        )  # fmt: skip
        hold.patience.tell = context.waits_for_storage
        context.milestone("Worker lost. Starting again" if claim.lost else "Source received. Starting to processing")
        inbox.unpack(hold.store, owner, record)  # before anything that may end in a result
        try:
            for step in parts.stages:
                context.check()
                context.stage = step.stage
                started = time.perf_counter()
                with disk.refusals():
                    step.run(context)
                context.timings_ms[step.stage] = round((time.perf_counter() - started) * 1000, 1)
        except ProcessingFailed as error:
            log.info("source %s failed: %s: %s", record.source_uuid, error.code, error)
            return _failure(parts, context, error.code)
        except parts.timeouts:
            if context.stage in _PARSING:  # the document's own doing, which another try would only repeat
                return _failure(parts, context, "timeout")
            _discard(parts, context)
            raise
        except (LeaseLost, Unavailable, SystemExit):
            _discard(parts, context)
            raise
        except Exception:
            log.exception("source %s failed in a way that we did not foresee", record.source_uuid)
            return _failure(parts, context, "internal")
        return _with_timeline(parts, owner, _success(context))


def _discard(parts: Parts, context: StageContext) -> None:
    """What this attempt made; at once, since whoever waits has a reason. What stays behind is swept later."""
    with suppress(Unavailable):
        discard(parts.store, context.owner, _success(context))


def _failure(parts: Parts, context: StageContext, code: str) -> RunResult:
    """What a failed attempt leaves: nothing but the result; the bytes stay, for a retry."""
    _discard(parts, context)
    result = failed(context.owner, context.record, code, fence=context.fence, attempt=context.attempt)
    return _with_timeline(parts, context.owner, result)


def _success(context: StageContext) -> RunResult:
    found, record = context.found, context.record
    answer, extracted = found.answer, found.answer.extracted
    return RunResult(
        **carried(record) | {"filename": found.filename, "size": found.size},
        fence=context.fence,
        attempt=context.attempt,
        state=State.SUCCEEDED,
        media_type=found.media_type,
        sha256=found.sha256,
        pages=extracted.pages,
        width=extracted.width,
        height=extracted.height,
        frames=extracted.frames,
        duration_seconds=extracted.duration_seconds,
        encoding=extracted.encoding,
        language=extracted.language,
        document=dict(extracted.document),
        outline=[Heading(title=each.title, level=each.level, page=each.page) for each in extracted.outline],
        details=dict(extracted.details),
        text=answer.text if "text" in found.artifacts else None,
        chunks=_chunks(found) if "chunks" in found.artifacts else None,
        thumbnail=Size(width=found.thumbnail.width, height=found.thumbnail.height) if "thumbnail" in found.artifacts and found.thumbnail else None,
        no_thumbnail=found.no_thumbnail,
        warnings=[*found.warnings, *answer.warnings],
        processor=answer.processor,
        processor_version=answer.version,
        timings_ms=context.timings_ms,
        artifacts=found.artifacts,
    )


def _chunks(found: Findings) -> Chunks:
    by = found.embedded
    if by is None or "embeddings" not in found.artifacts:
        return Chunks(count=found.chunks or 0)
    return Chunks(count=found.chunks or 0, embedder=by.embedder, embedder_version=by.version, dimensions=by.dimensions)


def _with_timeline(parts: Parts, owner: OwnerId, result: RunResult) -> RunResult:
    """The story so far, kept with the result; without it when Redis is away."""
    try:
        timeline = parts.ledger.timeline(owner, result.source_uuid, result.run)
    except Unavailable:
        timeline = []

    return result.model_copy(update={"timeline": [*timeline, Moment(at=result.committed_at, what="committed", attempt=result.attempt)]})
