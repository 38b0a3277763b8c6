"""Sniff: what the bytes are, whatever the client called them."""

from __future__ import annotations

from app.domain.stages import Stage
from worker.pipeline.context import StageContext
from worker.processors.sniffing import sniff


class Sniff:
    stage = Stage.SNIFF

    def run(self, context: StageContext) -> None:
        context.milestone("Checking the file", Stage.SNIFF)
        found = context.found
        found.media_type = sniff(found.file, found.filename)
        found.artifacts["original"] = found.artifacts["original"].model_copy(update={"media_type": found.media_type})
