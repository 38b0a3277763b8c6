"""Announce: the terminal event of a run, made from its committed result and from nothing else, so that whoever says it says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.errors import FAILURES
from app.domain.events import Outcome, ResultChunks, ResultHeading, ResultText, ResultThumbnail, SourceFailed, SourceSucceeded
from app.domain.ids import OwnerId
from app.domain.links import Target, sign
from app.domain.results import RunResult
from app.domain.source import InboxRecord, State
from app.ports import Clock

OUTLINE_LINES = 100
"""What an event tells of an outline: a message is for everybody who listens, so it stays small."""


@dataclass(frozen=True, slots=True)
class Announcer:
    """Makes the events that end a run; their links are signed with the current secret."""

    secrets: Sequence[str]
    link_ttl: timedelta
    clock: Clock

    def link(self, owner: OwnerId, result: RunResult, artifact: str) -> str:
        """Where a client can GET the artifact until the link expires."""
        token = sign(self.secrets[0], Target(owner, result.source_uuid, result.run, artifact), self.clock() + self.link_ttl)
        return f"{result.base_url}/d/{token}"

    def ended(self, owner: OwnerId, result: RunResult) -> SourceSucceeded | SourceFailed:
        if result.state is State.SUCCEEDED:
            return SourceSucceeded(
                source_uuid=result.source_uuid, run=result.run, at=result.committed_at, result=self.outcome(owner, result), type=result.kind,
                attempt=result.attempt,
            )  # fmt: skip
        return self._failed(result, result.code or "internal", attempt=result.attempt, at=result.committed_at)

    def cancelled(self, record: InboxRecord) -> SourceFailed:
        """The end of a run whose source was deleted; there is no result to make it from."""
        return self._failed(record, "cancelled", attempt=0, at=self.clock())

    def outcome(self, owner: OwnerId, result: RunResult, *, outline_lines: int | None = OUTLINE_LINES) -> Outcome:
        """What the success event and the synchronous answers say of a result. `outline_lines` None: all of the outline."""
        thumbnail = result.thumbnail
        return Outcome(
            source_id=result.source_uuid,
            filename=result.filename,
            url=self.link(owner, result, "original"),
            size=result.size or 0,
            media_type=result.media_type,
            sha256=result.sha256,
            pages=result.pages,
            width=result.width,
            height=result.height,
            frames=result.frames,
            duration_seconds=result.duration_seconds,
            encoding=result.encoding,
            language=result.language,
            document=result.document or None,
            outline=[ResultHeading(title=each.title, level=each.level, page=each.page) for each in result.outline[:outline_lines]] or None,
            details=result.details or None,
            text=self._text(owner, result),
            chunks=self._chunks(owner, result),
            thumbnail=thumbnail and ResultThumbnail(url=self.link(owner, result, "thumbnail"), width=thumbnail.width, height=thumbnail.height),
            no_thumbnail=result.no_thumbnail,
            processor=result.processor,
            warnings=[{"code": w.code, "message": w.message} for w in result.warnings],
            metadata=result.metadata or None,
        )

    def _text(self, owner: OwnerId, result: RunResult) -> ResultText | None:
        text = result.text
        if text is None:
            return None
        links = {f"{name}_url": self.link(owner, result, name) for name in ("pages", "markdown") if name in result.artifacts}
        return ResultText(
            characters=text.characters, words=text.words, truncated=text.truncated, preview=text.preview, url=self.link(owner, result, "text"), **links
        )  # fmt: skip

    def _chunks(self, owner: OwnerId, result: RunResult) -> ResultChunks | None:
        chunks = result.chunks
        if chunks is None:
            return None
        return ResultChunks(
            count=chunks.count, url=self.link(owner, result, "chunks"), embedder=chunks.embedder, embedder_version=chunks.embedder_version,
            dimensions=chunks.dimensions, embeddings_url=self.link(owner, result, "embeddings") if "embeddings" in result.artifacts else None,
        )  # fmt: skip

    @staticmethod
    def _failed(of: RunResult | InboxRecord, code: str, *, attempt: int, at: datetime) -> SourceFailed:
        message, retryable = FAILURES[code]
        return SourceFailed(source_uuid=of.source_uuid, run=of.run, at=at, error=message, type=of.kind, code=code, retryable=retryable, attempt=attempt)
