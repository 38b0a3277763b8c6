"""Bodies and answers of the HTTP calls, as OpenAPI shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.domain.errors import HeadraceError
from app.domain.events import Outcome
from app.domain.ids import OwnerId
from app.domain.results import RunResult
from app.domain.selection import Selection
from app.domain.source import State
from app.domain.wire import Wire, kebab
from app.protocol.announce import Announcer
from app.services.sources import View

MAX_EXPECTED = 10_000
"""Far above what one channel keeps (about 1,000 messages); it only keeps nonsense out."""


class Body(BaseModel):
    """What clients send: keys that we do not know are ignored, as they always were in JSON bodies."""

    model_config = ConfigDict(alias_generator=kebab, populate_by_name=True, extra="ignore")


class RegisterChannel(Body):
    ws_uuid: str | None = None
    keep_open: bool | None = Field(default=None, description="true: the socket stays open for further sources")
    expect: int | None = Field(default=None, ge=1, le=MAX_EXPECTED, strict=True, description="the socket stays open until so many sources have ended")


class ChannelAddress(Wire):
    ws_address: str = Field(description="where to watch the channel; it carries a token, so treat it as a password")


class SyncSource(Body):
    source_id: str | None = None
    filename: str | None = None
    tags: list[dict[str, Any]] = Field(default_factory=list, description="one-key objects")
    generate_embedding: bool = Field(default=False, description="embed this source, where the deployment has an embedder")
    data: Any = Field(default=None, description="any JSON: stored as a JSON document")
    url: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Reprocess(Body):
    """Unlike in other bodies a key that we do not know is refused: without it more would be meant than was said."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["succeeded", "failed", "cancelled"] | None = None
    media_types: list[str] = Field(default_factory=list, max_length=50)
    profile: str | None = None
    ended_after: AwareDatetime | None = None
    ended_before: AwareDatetime | None = None
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=100, strict=True)

    @property
    def selection(self) -> Selection:
        state = State(self.state) if self.state else None
        return Selection(state, tuple(self.media_types), self.profile, self.ended_after, self.ended_before)


class SourceAnswer(Wire):
    source_uuid: str
    status: int = Field(description="200: accepted; else what the call would have been refused with, had it been about this source alone")
    code: str | None = Field(default=None, description="of a refused one, as in docs/errors.md")


class Reprocessed(Wire):
    sources: list[SourceAnswer]
    next_cursor: str | None = Field(default=None, description="the `cursor` of the call that goes on; a page may have none that is meant")


class Accepted(Wire):
    message: str
    sources: list[SourceAnswer] | None = Field(default=None, description="of several files in one request: what became of each, in their order")


class Processed(Wire):
    source_id: str
    filename: str
    download_url: str = Field(serialization_alias="download_url")

    @classmethod
    def of(cls, result: RunResult, download_url: str) -> Self:
        return cls(source_id=result.source_uuid, filename=result.filename, download_url=download_url)


class ProcessedSync(Processed):
    embedding_status: Literal["DISABLED", "COMPLETED"] = Field(description="`COMPLETED`: its chunks have embeddings. `DISABLED`: nothing was embedded")

    @classmethod
    def of(cls, result: RunResult, download_url: str) -> Self:
        status: Literal["DISABLED", "COMPLETED"] = "COMPLETED" if "embeddings" in result.artifacts else "DISABLED"
        return cls(source_id=result.source_uuid, filename=result.filename, download_url=download_url, embedding_status=status)


class TimelineEntry(Wire):
    at: AwareDatetime
    what: str
    attempt: int


class SourceSummary(Wire):
    source_uuid: str
    state: State
    filename: str
    size: int | None = None
    media_type: str | None = Field(default=None, serialization_alias="media_type")
    accepted_at: datetime
    code: str | None = Field(default=None, description="why it failed, as in docs/errors.md")


class SourcePage(Wire):
    sources: list[SourceSummary]
    next_cursor: str | None = None


class SourceState(SourceSummary):
    run: int
    attempt: int = 0
    stage: str | None = None
    progress: int = 0
    queued: int | None = Field(default=None, description="of one that waits: about how many come before it in its lane, and it; not exact, and it may grow")
    ws_uuid: str
    timeline: list[TimelineEntry]
    result: Outcome | None = None
    result_run: int | None = Field(
        default=None, description="the run that the result is of: an earlier one while this one is open, and when it came to nothing"
    )
    error: str | None = None
    retryable: bool | None = None


def answered(source: str, refusal: HeadraceError | None) -> SourceAnswer:
    return SourceAnswer(source_uuid=source, status=refusal.status if refusal else 200, code=refusal.code if refusal else None)


def _summary(view: View) -> dict[str, Any]:
    of = view.result or view.record
    assert of is not None  # noqa: S101 - a view has one of them
    return {
        "source_uuid": view.source,
        "state": view.state,
        "filename": of.filename,
        "size": of.size,
        "media_type": view.result.media_type if view.result else None,
        "accepted_at": of.accepted_at,
        "code": view.result.code if view.result else None,
    }


def summary(view: View) -> SourceSummary:
    return SourceSummary(**_summary(view))


def state(view: View, owner: OwnerId, announcer: Announcer) -> SourceState:
    of = view.result or view.record
    assert of is not None  # noqa: S101 - a view has one of them
    common = _summary(view) | {
        "run": of.run,
        "ws_uuid": of.ws_uuid,
        "timeline": [TimelineEntry(at=m.at, what=m.what, attempt=m.attempt) for m in view.timeline],
    }
    if view.standing is not None:
        common |= {"result": announcer.outcome(owner, view.standing), "result_run": view.standing.run}
    if view.result is None:
        live = view.live
        attempt, stage, progress = (live.attempt, live.stage, live.progress) if live else (0, None, 0)
        return SourceState(**common, attempt=attempt, stage=stage, progress=progress, queued=view.queued)
    result = view.result
    if result.state is State.SUCCEEDED:
        return SourceState(**common, attempt=result.attempt, progress=100)
    ended = announcer.ended(owner, result)
    return SourceState(**common, attempt=result.attempt, error=getattr(ended, "error", None), retryable=result.retryable)
