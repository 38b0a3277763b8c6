"""Guard: what a file says that it unpacks to, before any parser gets it."""

from __future__ import annotations

from app.domain.errors import ProcessingFailed
from app.domain.results import Warned
from app.domain.stages import Stage
from worker.guards import archive, picture
from worker.pipeline.context import StageContext


class Guard:
    stage = Stage.GUARD

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: empty, bomb. What is merely large is kept, and not read (warning `not_read`)."""
        found = context.found
        if found.size == 0:
            raise ProcessingFailed("empty")
        with found.file.open("rb") as file:
            kind = archive if file.read(4).startswith(archive.MAGIC) else picture
            why = kind.check(file, found.size, context.unpacked)
        if why is not None:
            found.is_unread = True
            found.warnings.append(Warned(code="not_read", message=f"The document is kept, but not read: {why}"))
