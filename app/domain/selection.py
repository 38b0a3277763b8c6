"""Which of a user's sources are meant, by how their latest run ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.profile import takes
from app.domain.results import RunResult
from app.domain.source import State


@dataclass(frozen=True, slots=True)
class Selection:
    """Nothing said: each that succeeded or failed. A cancelled one wants to be named."""

    state: State | None = None
    media_types: tuple[str, ...] = ()
    """`image/*` for a family. One whose bytes were never looked at has none."""
    profile: str | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    """With it nothing is meant twice: what is run again ends later."""

    def has(self, result: RunResult) -> bool:
        return (
            (result.state is self.state if self.state else result.state is not State.CANCELLED)
            and (not self.media_types or (result.media_type is not None and takes(self.media_types, result.media_type)))
            and self.profile in {None, result.profile}
            and (self.ended_after is None or result.committed_at >= self.ended_after)
            and (self.ended_before is None or result.committed_at < self.ended_before)
        )
