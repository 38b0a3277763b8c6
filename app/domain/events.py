"""Every message on a channel, typed once. OpenAPI's webhooks, AsyncAPI and docs/events.md are made from this file.

The wire form is the one that existing clients know (`step`, `message`, `type`, `status`, `result`, `error`), word for word;
what is ours stands beside it (`event`, `source-uuid`, `run`, `attempt`, `stage`, `progress`, …). Clients must ignore keys
that they do not know. `event-id` ("<epoch>:<offset>") is put in by the script that appends, since only it knows the offset.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from app.domain.ids import SourceId
from app.domain.results import NoThumbnail
from app.domain.source import Kind, State
from app.domain.wire import Wire


class _Event(Wire):
    source_uuid: SourceId
    run: int
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    event_id: str | None = Field(default=None, description="`<epoch>:<offset>`, on milestones: the position to resume after")


class SourceAccepted(_Event):
    """The upload is durable and waits for a worker. The first message of every run."""

    event: Literal["source.accepted"] = "source.accepted"
    step: str
    status: Literal[200] = 200
    step_status: Literal["processing"] = "processing"

    @classmethod
    def of(cls, source: SourceId, run: int) -> SourceAccepted:
        return cls(source_uuid=source, run=run, step=f"Hello, I start to process this source: {source}")


class SourceProcessing(_Event):
    """A milestone on the way; clients see two at least, and more may come between."""

    event: Literal["source.processing"] = "source.processing"
    message: str
    type: Kind
    status: Literal["processing"] = "processing"
    attempt: int
    stage: str | None = None
    waiting_for: Literal["storage"] | None = Field(default=None, description="present while the work waits for a part of ours that is away")
    progress: int = Field(ge=0, le=100, description="percent of the whole run")


class SourceProgress(_Event):
    """How far the work is. Transient: not kept, has no event-id, may be skipped; never goes back within a run."""

    event: Literal["source.progress"] = "source.progress"
    message: str
    type: Kind
    status: Literal["processing"] = "processing"
    attempt: int
    stage: str
    progress: int = Field(ge=0, le=100, description="percent of the whole run")
    stage_progress: int = Field(ge=0, le=100, description="percent of the stage")
    done: int | None = Field(default=None, ge=0, description="how many of `total` are done")
    total: int | None = Field(default=None, ge=0, description="in `unit`")
    unit: str | None = Field(default=None, description="`bytes`, `pages`, …")


class SourceReceiving(Wire):
    """A long body comes in, and this is the source whose bytes are coming. Transient: kept nowhere, has no event-id, opens no source."""

    event: Literal["source.receiving"] = "source.receiving"
    source_uuid: SourceId
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    message: Literal["Receiving"] = "Receiving"
    type: Literal["file-upload"] = "file-upload"
    status: Literal["processing"] = "processing"
    stage: Literal["receive"] = "receive"
    received: int = Field(ge=0, description="bytes of the request's body so far")
    size: int | None = Field(default=None, ge=0, description="bytes of the whole body; absent when the client did not say")
    stage_progress: int | None = Field(default=None, ge=0, le=100, description="percent of the body; absent without `size`")

    @classmethod
    def of(cls, source: SourceId, received: int, size: int | None) -> SourceReceiving:
        percent = min(100, 100 * received // size) if size else None
        return cls(source_uuid=source, received=received, size=size, stage_progress=percent)


class ResultText(Wire):
    characters: int
    words: int
    truncated: bool = False
    preview: str = Field(default="", description="the first 2,000 characters")
    url: str | None = None
    pages_url: str | None = Field(default=None, description="the same by page, as JSON lines: `page` (from 1), `text`, perhaps `label`")
    markdown_url: str | None = Field(default=None, description="the same as Markdown, for documents whose structure is known")


class ResultChunks(Wire):
    """The text cut into pieces for retrieval, where that is wanted."""

    count: int
    url: str = Field(description="JSON lines: `chunk` (from 1), `text`, `start` and `end` in the text, `page`, `headings`, `tokens`")
    embedder: str | None = Field(default=None, description="what made the vectors; absent when nothing did")
    embedder_version: str | None = Field(default=None, description="vectors of two versions are not to be compared")
    dimensions: int | None = Field(default=None, description="how many numbers a vector has")
    embeddings_url: str | None = Field(default=None, description="JSON lines: `chunk`, `vector`")


class ResultThumbnail(Wire):
    """A small picture of the document: its first page, or the image itself."""

    url: str
    width: int
    height: int
    media_type: Literal["image/webp"] = Field(default="image/webp", serialization_alias="media_type")


class ResultHeading(Wire):
    title: str
    level: int = Field(description="from 1")
    page: int | None = Field(default=None, description="from 1")


class Outcome(Wire):
    """The `result` of a success: the contract's four keys, and what the processing found."""

    source_id: SourceId
    filename: str
    url: str = Field(description="a signed link to the bytes, which works when the event is replayed")
    size: int = Field(description="bytes")
    media_type: str | None = Field(default=None, serialization_alias="media_type")
    sha256: str | None = None
    pages: int | None = Field(default=None, description="pages, slides or sheets")
    width: int | None = Field(default=None, description="pixels")
    height: int | None = Field(default=None, description="pixels")
    frames: int | None = None
    duration_seconds: float | None = Field(default=None, serialization_alias="duration_s", description="of sound and film")
    encoding: str | None = None
    language: str | None = None
    document: dict[str, str] | None = Field(default=None, description="title, author, …: what the document says of itself")
    outline: list[ResultHeading] | None = Field(default=None, description="the first 100 headings; all of them are in the result")
    details: dict[str, Any] | None = Field(default=None, description="what else the processor found")
    text: ResultText | None = None
    chunks: ResultChunks | None = None
    thumbnail: ResultThumbnail | None = None
    no_thumbnail: NoThumbnail | None = Field(
        default=None, description="why there is none: no file of this `type` has one, nothing to draw of this `file`, or it `failed` (a warning says so too)"
    )
    processor: str | None = None
    warnings: list[dict[str, str]] = Field(default_factory=list)
    metadata: dict[str, Any] | None = None


class SourceSucceeded(_Event):
    """The end of a run: its result is committed."""

    event: Literal["source.succeeded"] = "source.succeeded"
    result: Outcome
    type: Kind
    status: Literal["success"] = "success"
    attempt: int
    progress: Literal[100] = 100


class SourceFailed(_Event):
    """The end of a run without success. `code` is stable (docs/errors.md)."""

    event: Literal["source.failed"] = "source.failed"
    result: Literal["Error"] = "Error"
    error: str
    type: Kind
    status: Literal["failure"] = "failure"
    code: str
    retryable: bool
    attempt: int


class Batch(Wire):
    """The roll-up after each end, on a channel of several sources or with an `expect`. Written by the script that says the end (`_append.lua`)."""

    event: Literal["batch"] = "batch"
    at: AwareDatetime
    event_id: str | None = Field(default=None, description="`<epoch>:<offset>`: the position to resume after")
    status: Literal["batch"] = Field(default="batch", description="no end: for clients that look for a `status` in each message")
    done: int = Field(ge=0, description="sources whose latest run succeeded, since the channel's registration")
    failed: int = Field(ge=0, description="the same, failed or cancelled")
    total: int = Field(ge=1, description="`expect`, or all that ended or are open, whichever is more")
    percent: int = Field(ge=0, le=100, description="done and failed, of total")


class SourceSnapshot(_Event):
    """How a source stands, where its history was lost. No milestone and never an end, so it has no `status`; a state may be one of the ended ones."""

    event: Literal["source.snapshot"] = "source.snapshot"
    state: State
    attempt: int = 0
    stage: str | None = None
    progress: int = Field(default=0, ge=0, le=100, description="percent of the whole run")
    result: Outcome | None = None
    code: str | None = None
    error: str | None = None
    retryable: bool | None = None


class ChannelRecovered(Wire):
    """History was lost. Forget your position; a snapshot of each source follows, then what the channel still has."""

    event: Literal["channel.recovered"] = "channel.recovered"
    recovered: Literal[False] = False
    at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    event_id: str | None = Field(default=None, description="`<epoch>:<offset>`: the new position; absent while the channel has none")


Milestone = SourceAccepted | SourceProcessing | SourceSucceeded | SourceFailed
"""What a run says for good: kept in the channel's stream; every reader gets each of them once, in order. So is a Batch, which a script adds."""

Event = Annotated[Milestone | Batch | SourceReceiving | SourceProgress | SourceSnapshot | ChannelRecovered, Field(discriminator="event")]
EVENT: TypeAdapter[Milestone | Batch | SourceReceiving | SourceProgress | SourceSnapshot | ChannelRecovered] = TypeAdapter(Event)
EVENT_TYPES = (
    SourceReceiving, SourceAccepted, SourceProcessing, SourceProgress, SourceSucceeded, SourceFailed, Batch, SourceSnapshot, ChannelRecovered,
)  # fmt: skip
