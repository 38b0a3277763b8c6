"""Chunk: the text is cut into pieces for retrieval, for whoever wants that."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.source import InboxRecord
from app.domain.stages import Stage
from headrace_plugin import TEXT
from worker.chunks.cutting import Cut
from worker.isolation.parser import Progress
from worker.pipeline.context import StageContext

_MESSAGE = "Cutting the text into chunks"


class Chunk:
    stage = Stage.CHUNK

    def __init__(self, characters: int, *, by_default: bool, of_profiles: Mapping[str, bool], on_request: bool = False) -> None:
        """`by_default`: whether it is wanted where a profile says nothing of it. `on_request`: an upload's `generate-embedding` counts."""
        self._characters = characters
        self._by_default = by_default
        self._of_profiles = of_profiles
        self._on_request = on_request

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: what a Parser raises."""
        found = context.found
        text = found.answer.text
        if text is None or TEXT not in found.answer.files or not self._is_wanted(context.record):
            return
        context.milestone(_MESSAGE, Stage.CHUNK)

        def alive(progress: Progress | None) -> None:
            if progress is None:
                context.check()
            else:
                context.progress(Stage.CHUNK, _MESSAGE, progress.done, progress.total, progress.unit)

        cut = Cut(self._characters, text.characters, tuple(found.answer.files), tuple(found.answer.extracted.outline))
        found.chunks = context.parser.chunk(context.request(), alive, cut)

    def _is_wanted(self, record: InboxRecord) -> bool:
        is_asked_for = self._on_request and record.options.get("generate-embedding") is True
        return is_asked_for or self._of_profiles.get(record.profile, self._by_default)
