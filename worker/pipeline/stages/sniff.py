"""Sniff: what the bytes are, whatever the client called them; and whether such files are taken here."""

from __future__ import annotations

from fnmatch import fnmatchcase

from app.domain.errors import ProcessingFailed
from app.domain.profile import takes
from app.domain.stages import Stage
from worker.pipeline.context import StageContext
from worker.processors.mismatch import mismatches
from worker.processors.sniffing import sniff


class Sniff:
    stage = Stage.SNIFF

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: unsupported_type."""
        context.milestone("Checking the file", Stage.SNIFF)
        found = context.found
        found.media_type = sniff(found.file, found.filename)
        found.artifacts["original"] = found.artifacts["original"].model_copy(update={"media_type": found.media_type})
        taken_here = any(fnmatchcase(found.media_type, pattern) for pattern in context.accept_types)
        if not taken_here or not takes(tuple(context.record.types or ()), found.media_type):
            raise ProcessingFailed("unsupported_type", found.media_type)
        found.warnings += mismatches(found.media_type, found.filename, context.record.declared_type)
