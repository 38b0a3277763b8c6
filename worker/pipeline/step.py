"""What a stage is to the story in run.py."""

from __future__ import annotations

from typing import Protocol

from app.domain.stages import Stage
from worker.pipeline.context import StageContext


class Step(Protocol):
    """One stage. Has no state: what it learns goes into `context.found`."""

    stage: Stage

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed for what is wrong with the source, Unavailable for what is wrong with the world, LeaseLost."""
