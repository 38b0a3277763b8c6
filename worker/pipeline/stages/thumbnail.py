"""Thumbnail: a small picture, by the processor that read the document. What goes wrong here costs the picture only."""

from __future__ import annotations

from app.domain.errors import ProcessingFailed
from app.domain.results import Warned
from app.domain.stages import Stage
from worker.pipeline.context import StageContext


class Thumbnail:
    stage = Stage.THUMBNAIL

    def run(self, context: StageContext) -> None:
        found = context.found
        if found.answer.processor is None:
            return
        try:
            found.thumbnail = context.parser.thumbnail(context.request(), lambda _: context.check(), processor=found.answer.processor)
        except ProcessingFailed as error:
            found.warnings.append(Warned(code="thumbnail_failed", message=error.message))
