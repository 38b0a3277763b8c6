"""One stage, run over bytes that lie in a store of memory; what it told, and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.adapters.memory import MemoryObjectStore
from app.domain.ids import ChannelId, SourceId, UploadId, new_fence, owner_id
from app.domain.source import InboxRecord
from headrace_plugin import Limits
from worker.guards.limits import Unpacked
from worker.isolation.inline import Inline
from worker.pipeline.context import StageContext

OWNER = owner_id("org", "user")


class Alive:
    """A heartbeat that never fails, or with what it is given."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def check(self) -> None:
        if self.error is not None:
            raise self.error


class Told:
    """A story that keeps what it is told."""

    def __init__(self) -> None:
        self.progressed: list[Any] = []
        self.milestones: list[Any] = []

    def tell(self, event: Any, _stage: Any) -> None:
        self.milestones.append(event)

    def progress(self, event: Any) -> None:
        self.progressed.append(event)


def a_context(tmp_path: Path, body: bytes | None = None, *, filename: str = "a.txt", media_type: str = "text/plain", **changes: Any) -> StageContext:
    """As it stands after fetch and sniff, when there is a body."""
    record = InboxRecord(source_uuid=SourceId("s"), ws_uuid=ChannelId("w"), upload=UploadId("u"), digest="d", filename=filename, base_url="http://here")
    known: dict[str, Any] = {
        "owner": OWNER, "record": record, "fence": new_fence(), "attempt": 1, "progress": 0, "store": MemoryObjectStore(), "story": Told(), "fetcher": None,
        "parser": Inline(), "limits": Limits(), "unpacked": Unpacked(), "scratch": tmp_path, "max_bytes": 1 << 30, "heartbeat": Alive(),
    }  # fmt: skip
    context = StageContext(**known | changes)
    context.told = known["story"]
    if body is not None:
        context.found.path = tmp_path / "source"
        context.found.path.write_bytes(body)
        context.found.size = len(body)
        context.found.media_type = media_type
    return context
