"""What a stage works with: the source, the parts of this process, and what the stages before it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.domain.events import SourceProcessing, SourceProgress
from app.domain.ids import Fence, OwnerId
from app.domain.layout import object_key
from app.domain.results import Artifact, NoThumbnail, Warned
from app.domain.source import InboxRecord
from app.domain.stages import BEGINS_AT, Stage, overall
from app.ports import Fetcher, ObjectStore
from headrace_plugin import Limits, Thumbnail
from worker.chunks.embedding import Embedded
from worker.guards.limits import Unpacked
from worker.isolation.answer import Answer
from worker.isolation.parser import Parser, Request
from worker.pipeline.lease import Heartbeat
from worker.pipeline.story import Story

_PROGRESS_SECONDS = 0.25
"""Progress is told four times a second at the most."""


@dataclass(slots=True)
class Findings:
    """What the stages learned so far."""

    path: Path | None = None
    """The bytes as a file, from fetch on."""
    object_key: str = ""
    filename: str = ""
    size: int = 0
    media_type: str = "application/octet-stream"
    is_unread: bool = False
    """Too large to be read; it is stored all the same."""
    sha256: str = ""
    answer: Answer = field(default_factory=Answer)
    """What was read out of it."""
    thumbnail: Thumbnail | None = None
    chunks: int | None = None
    """How many the text was cut into; None: it was not."""
    embedded: Embedded | None = None
    no_thumbnail: NoThumbnail | None = None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    warnings: list[Warned] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """`path`, for the stages after fetch."""
        if self.path is None:
            raise RuntimeError("fetch has not run")
        return self.path


class StageContext:
    """One attempt at a run. Its reports and `check` raise LeaseLost once the run is no longer ours, or was cancelled."""

    def __init__(
        self, *, owner: OwnerId, record: InboxRecord, fence: Fence, attempt: int, progress: int, store: ObjectStore, story: Story,
        fetcher: Fetcher, parser: Parser, limits: Limits, unpacked: Unpacked, scratch: Path, max_bytes: int, heartbeat: Heartbeat,
        accept_types: Sequence[str] = ("*",),
    ) -> None:  # fmt: skip
        self.owner = owner
        self.record = record
        self.fence = fence
        self.attempt = attempt
        self.store = store
        self.fetcher = fetcher
        self.parser = parser
        self.limits = limits
        self.unpacked = unpacked
        self.accept_types = accept_types
        """Patterns of the media types that are taken."""
        self.scratch = scratch
        self.made = scratch / "made"
        """What the reading wrote."""
        self.made.mkdir()
        self.max_bytes = max_bytes
        self.found = Findings(filename=record.filename, size=record.size or 0, object_key=object_key(owner, record.upload))
        self.timings_ms: dict[str, float] = {}
        self.stage: Stage | None = None
        """The one that runs."""
        self._story = story
        self._heartbeat = heartbeat
        self._least = progress
        self._told_at = 0.0

    def check(self) -> None:
        """Raises LeaseLost, within a second of a cancellation. Free: whatever may take long calls it often, and lets go of what it started."""
        self._heartbeat.check()

    def milestone(self, message: str, stage: Stage | None = None, *, waiting_for: Literal["storage"] | None = None) -> None:
        """Tell the channel for good; later when Redis is away."""
        self.check()
        self._least = max(self._least, BEGINS_AT[stage] if stage else 0)
        event = SourceProcessing(
            source_uuid=self.record.source_uuid, run=self.record.run, message=message, type=self.record.kind, attempt=self.attempt, stage=stage,
            waiting_for=waiting_for, progress=self._least,
        )  # fmt: skip
        self._story.tell(event, None if waiting_for else stage)

    def waits_for_storage(self) -> None:
        """Say so: the bar stands, and it is not the document's fault."""
        self.milestone("Storage is away, trying again", self.stage, waiting_for="storage")

    def request(self) -> Request:
        """What is asked of the parser."""
        found = self.found
        return Request(found.file, found.media_type, self.made, filename=found.filename, limits=self.limits, options=self.record.options)

    def progress(self, stage: Stage, message: str, done: int, total: int = 100, unit: str = "percent") -> None:
        """Tell whoever listens that so much of the stage is done. Cheap to call often."""
        self.check()
        now = time.monotonic()
        if now - self._told_at < _PROGRESS_SECONDS:
            return
        self._told_at = now
        percent = max(0, min(100, done * 100 // total)) if total > 0 else 0
        whole = overall(stage, percent)
        if whole < self._least:
            return  # an attempt before this one came further; readers were told
        self._least = whole
        counted = {} if unit == "percent" else {"done": done, "total": total, "unit": unit}
        event = SourceProgress(
            source_uuid=self.record.source_uuid, run=self.record.run, message=message, type=self.record.kind, attempt=self.attempt, stage=stage,
            progress=whole, stage_progress=percent, **counted,
        )  # fmt: skip
        self._story.progress(event)
