"""The life of a source with a channel of its own, step by step, as the calls that the API and a worker make of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.adapters.redis.calls import Call, Calls, Terms
from app.adapters.redis.keys import Keyspace
from app.domain.events import Milestone, SourceProcessing, SourceProgress
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId, new_fence, new_upload, owner_id
from app.domain.lease import this_worker
from app.domain.results import RunResult, Text, carried
from app.domain.source import InboxRecord, State
from app.domain.stages import BEGINS_AT, Stage
from app.domain.tokens import issue
from app.protocol.announce import Announcer
from bench.pipeline import Pipeline
from bench.session import SECRET

CALLS = Calls(Keyspace("headrace:"), Terms())
"""On the terms of production."""
_ANNOUNCER = Announcer([SECRET], timedelta(days=7), lambda: datetime.now(UTC))
_PREVIEW = ("Of every upload a reader sees the first two thousand characters. " * 40)[:2000]


@dataclass(slots=True)
class Life:
    """A file with text, of a user of its own, under random UUIDs as clients send them."""

    number: int
    preview: str = _PREVIEW
    source: SourceId = field(default_factory=lambda: SourceId(str(uuid.uuid4())))
    channel: ChannelId = field(default_factory=lambda: ChannelId(str(uuid.uuid4())))
    fence: Fence = field(default_factory=new_fence)
    upload: UploadId = field(default_factory=new_upload)

    @property
    def owner(self) -> OwnerId:
        return owner_id("dev", f"user-{self.number}@example.com")

    @property
    def record(self) -> InboxRecord:
        base_url = "https://uploads.example.com"
        return InboxRecord(
            source_uuid=self.source, ws_uuid=self.channel, upload=self.upload, digest="0" * 32, size=12345, filename="report.pdf", base_url=base_url
        )

    @property
    def path(self) -> str:
        """Of its socket, as the ws-address has it."""
        return f"/ws/{self.channel}?token={issue(SECRET, self.owner, self.channel, datetime.now(UTC) + timedelta(days=1))}"

    def register(self) -> Call[Any]:
        return CALLS.register(self.owner, self.channel, explicit=True, keep_open=None)

    def accept(self) -> Call[Any]:
        return CALLS.accept(self.owner, self.record, self.upload)

    def claim(self) -> Call[Any]:
        return CALLS.claim(self.owner, self.record, self.fence, this_worker(), "")

    def say(self, seq: int, message: str, stage: Stage | None = None) -> Call[Any]:
        """A milestone of the run."""
        event: Milestone = SourceProcessing(
            source_uuid=self.source, run=1, message=message, type="file-upload", attempt=1, stage=stage, progress=BEGINS_AT[stage] if stage else 0
        )
        return CALLS.append(self.owner, self.record, event, self.fence, 1, seq, stage)

    def progress(self, stage: Stage, message: str) -> Call[Any]:
        event = SourceProgress(
            source_uuid=self.source, run=1, message=message, type="file-upload", attempt=1, stage=stage, progress=BEGINS_AT[stage], stage_progress=0
        )
        return CALLS.progress(self.owner, self.record, event, self.fence)

    def work(self) -> list[Call[Any]]:
        """Everything from the claim to the last stage."""
        return [
            self.claim(),
            self.say(1, "Source received. Starting to processing"),
            self.progress(Stage.CHECKSUM, "Computing the checksum"),
            self.say(2, "Reading the document", Stage.EXTRACT),
            self.progress(Stage.EXTRACT, "Reading the document"),
            self.say(3, "Uploading to S3...", Stage.STORE),
        ]

    def finish(self) -> Call[Any]:
        result = RunResult(
            **carried(self.record), fence=self.fence, attempt=1, state=State.SUCCEEDED, media_type="application/pdf", sha256="0" * 64, pages=12,
            document={"title": "A report", "author": "Ann Example"}, processor="pdf", text=Text(characters=23456, words=4567, preview=self.preview),
        )  # fmt: skip
        return CALLS.finish(self.owner, self.record, _ANNOUNCER.ended(self.owner, result), State.SUCCEEDED)


def registered(pipeline: Pipeline, count: int) -> list[Life]:
    """So many, each with its channel open and nothing on it."""
    lives = [Life(number) for number in range(count)]
    pipeline.run([life.register() for life in lives])
    return lives
