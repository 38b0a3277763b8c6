"""Extract: what a processor reads out of the document. A type that nobody reads is stored all the same."""

from __future__ import annotations

from app.domain import media
from app.domain.errors import ProcessingFailed
from app.domain.stages import Stage
from worker.pipeline.context import StageContext
from worker.processors.registry import processor_for


def run(context: StageContext) -> None:
    """Raises ProcessingFailed: malformed, encrypted."""
    found = context.found
    if found.media_type == media.ENCRYPTED:
        raise ProcessingFailed("encrypted")
    processor = processor_for(found.media_type)
    if processor is None:
        return
    context.milestone("Reading the document", Stage.EXTRACT)
    found.processor = processor.name
    found.extracted = processor.extract(found.file, found.media_type, lambda percent: context.progress(Stage.EXTRACT, "Reading the document", percent))
