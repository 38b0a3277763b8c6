"""Thumbnail: a small picture, by the processor that read the document. What goes wrong here costs the picture only."""

from __future__ import annotations

from app.domain.errors import ProcessingFailed
from app.domain.results import Warned
from app.domain.stages import Stage
from headrace_plugin import THUMBNAIL
from headrace_plugin import Thumbnail as Picture
from worker.guards import picture
from worker.pipeline.context import StageContext


class Thumbnail:
    stage = Stage.THUMBNAIL

    def run(self, context: StageContext) -> None:
        found = context.found
        processor = found.answer.processor
        if processor is None:
            found.no_thumbnail = "file" if found.is_unread else "type"
            return
        try:
            if THUMBNAIL in found.answer.files:
                found.thumbnail = _made(context)
            elif found.answer.draws:
                found.thumbnail = context.parser.thumbnail(context.request(), lambda _: context.check(), processor=processor)
                found.no_thumbnail = None if found.thumbnail else "file"
            else:
                found.no_thumbnail = "type"
        except ProcessingFailed as error:
            found.no_thumbnail = "failed"
            found.warnings.append(Warned(code="thumbnail_failed", message=error.message))


def _made(context: StageContext) -> Picture:
    """The one that came with the text."""
    with (context.made / THUMBNAIL).open("rb") as file:
        size = picture.webp_size(file)
    if size is None:
        raise ProcessingFailed("malformed", "the thumbnail is no WebP")
    return Picture(*size)
