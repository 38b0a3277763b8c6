"""result.json: what a run came to. It is the commit, written create-only, so the first one wins for ever."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from app.domain.errors import FAILURES
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId
from app.domain.layout import object_key
from app.domain.source import InboxRecord, Kind, State
from app.domain.wire import Stored

PREVIEW_CHARACTERS = 2000


class Artifact(Stored):
    """Something a run made, or the bytes themselves (name `original`)."""

    key: str
    size: int
    media_type: str
    filename: str


class Text(Stored):
    characters: int
    words: int
    truncated: bool = False
    preview: str = ""
    """The first 2,000 characters; the whole is the artifact `text`."""


class Warned(Stored):
    code: str
    message: str = ""


class Chunks(Stored):
    """Of the artifact `chunks`, and of `embeddings` where there is an embedder."""

    count: int
    embedder: str | None = None
    embedder_version: str | None = None
    dimensions: int | None = None
    """How many numbers a vector has."""


class Heading(Stored):
    """One line of a document's outline."""

    title: str
    level: int
    """From 1."""
    page: int | None = None


class Size(Stored):
    """Pixels."""

    width: int
    height: int


class Moment(Stored):
    """One line of a source's timeline."""

    at: AwareDatetime
    what: str
    """accepted, claimed, a stage's name, worker lost, committed, …"""
    attempt: int = 0


NoThumbnail = Literal["type", "file", "failed"]
"""Why there is none: files of the type have none, there was nothing to draw of this one, or it could not be drawn."""


class RunResult(Stored):
    schema_: Literal[1] = Field(default=1, alias="schema")
    source_uuid: SourceId
    ws_uuid: ChannelId
    run: int
    attempt: int = 0
    fence: Fence
    """Whose commit this is: after a refusal (412) the loser compares it, since client libraries retry by themselves."""
    state: State
    kind: Kind
    digest: str
    filename: str
    size: int | None = None
    media_type: str | None = None
    declared_media_type: str | None = None
    sha256: str | None = None
    pages: int | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration_seconds: float | None = None
    encoding: str | None = None
    language: str | None = None
    document: dict[str, str] = Field(default_factory=dict)
    """Title, author, … as the document itself says."""
    outline: list[Heading] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    """What else the processor found."""
    text: Text | None = None
    chunks: Chunks | None = None
    """None: nobody wanted them, or there is no text."""
    thumbnail: Size | None = None
    """Of the artifact `thumbnail`."""
    no_thumbnail: NoThumbnail | None = None
    warnings: list[Warned] = Field(default_factory=list)
    processor: str | None = None
    processor_version: str | None = None
    timings_ms: dict[str, float] = Field(default_factory=dict)
    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    tags: list[dict[str, Any]] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    profile: str = "default"
    options: dict[str, Any] = Field(default_factory=dict)
    max_bytes: int | None = None
    types: list[str] | None = None
    url: str | None = None
    stored: bool | None = None
    callback_url: str | None = None
    organisation: str | None = None
    base_url: str
    code: str | None = None
    """A key of FAILURES, for failed and cancelled runs."""
    retryable: bool | None = None
    spent: bool = False
    """A dead letter: it failed because it was tried too often."""
    accepted_at: AwareDatetime
    committed_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    timeline: list[Moment] = Field(default_factory=list)


def failed(owner: OwnerId, record: InboxRecord, code: str, *, fence: Fence, attempt: int = 0, spent: bool = False) -> RunResult:
    """The result of a run that ended without success. `code` is a key of FAILURES.

    Uploaded bytes stay named, so that they can be tried again, and go with the source; infected ones go at once.
    """
    state = State.CANCELLED if code == "cancelled" else State.FAILED
    artifacts = {}
    if (record.url is None or record.stored) and code != "infected":
        key = object_key(owner, record.upload)
        artifacts["original"] = Artifact(key=key, size=record.size or 0, media_type="application/octet-stream", filename=record.filename)
    return RunResult(**carried(record), fence=fence, attempt=attempt, state=state, code=code, retryable=FAILURES[code][1], spent=spent, artifacts=artifacts)


def carried(record: InboxRecord) -> dict[str, Any]:
    """What a result takes over from the acceptance, as keyword arguments."""
    return {
        "source_uuid": record.source_uuid,
        "ws_uuid": record.ws_uuid,
        "run": record.run,
        "kind": record.kind,
        "callback_url": record.callback_url,
        "organisation": record.organisation,
        "digest": record.digest,
        "filename": record.filename,
        "size": record.size,
        "declared_media_type": record.declared_type,
        "tags": record.tags,
        "metadata": record.metadata,
        "profile": record.profile,
        "options": record.options,
        "max_bytes": record.max_bytes,
        "types": record.types,
        "url": record.url,
        "stored": record.stored,
        "base_url": record.base_url,
        "accepted_at": record.accepted_at,
    }


def acceptance(result: RunResult) -> InboxRecord:
    """The acceptance that the result came from, as far as the result tells it: enough to say the end again, and to run it again."""
    original = result.artifacts.get("original")
    return InboxRecord(
        source_uuid=result.source_uuid,
        run=result.run,
        ws_uuid=result.ws_uuid,
        upload=UploadId(original.key.rpartition("/")[2] if original else ""),
        digest=result.digest,
        size=result.size,
        filename=result.filename,
        declared_type=result.declared_media_type,
        tags=result.tags,
        metadata=result.metadata,
        profile=result.profile,
        options=result.options,
        max_bytes=result.max_bytes,
        types=result.types,
        callback_url=result.callback_url,
        organisation=result.organisation,
        url=result.url,
        stored=result.stored,
        base_url=result.base_url,
        accepted_at=result.accepted_at,
    )
