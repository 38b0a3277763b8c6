"""Extract: what a processor reads out of the document. A type that nobody reads is stored all the same."""

from __future__ import annotations

from app.domain import media
from app.domain.errors import ProcessingFailed
from app.domain.stages import Stage
from worker.isolation.parser import Progress
from worker.pipeline.context import StageContext

_MESSAGE = "Reading the document"


class Extract:
    stage = Stage.EXTRACT

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: what a Parser raises, and `encrypted`."""
        found = context.found
        if found.media_type == media.ENCRYPTED:
            raise ProcessingFailed("encrypted")
        if found.is_unread:
            return
        context.milestone(_MESSAGE, Stage.EXTRACT)

        def alive(progress: Progress | None) -> None:
            if progress is None:
                context.check()
            else:
                context.progress(Stage.EXTRACT, _MESSAGE, progress.done, progress.total, progress.unit)

        found.answer = context.parser.extract(context.request(), alive)
