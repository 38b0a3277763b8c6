"""The parser host as the pipeline sees it: who asks it, and what is believed of its answers."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from app.domain.errors import ProcessingFailed
from headrace_plugin import CHUNKS, THUMBNAIL, Thumbnail
from worker.chunks.cutting import Cut
from worker.isolation.answer import Answer
from worker.isolation.hosts import Hosts, expect_plain
from worker.isolation.parser import Alive, Request

_TURNS: Final = 100
"""More processors than that for one media type nobody has; but a child may lie."""
_ANSWER: Final = TypeAdapter(Answer | None)
_THUMBNAIL: Final = TypeAdapter(Thumbnail | None)
_NUMBER: Final = TypeAdapter(Annotated[int, Field(ge=0, strict=True)])


class ParserHost(Hosts):
    """A Parser."""

    def __init__(self, named: Path | None = None) -> None:
        """`named`: the file of commands and endpoints (worker/processors/named.py)."""
        super().__init__(*([str(named.resolve())] if named else []))

    def extract(self, request: Request, alive: Alive) -> Answer:
        answer: Answer | None = None
        for turn in itertools.count():
            said = self.ask(request, alive, {"what": "extract", "turn": turn})
            try:
                answer = _ANSWER.validate_python(said["answer"])
            except (KeyError, ValidationError) as error:
                raise ProcessingFailed("crash", f"no answer: {type(error).__name__}") from error
            if answer is not None or turn == _TURNS:
                break
        answer = answer or Answer()
        for name in answer.files:
            expect_plain(request.folder / name)
        return answer

    def thumbnail(self, request: Request, alive: Alive, *, processor: str) -> Thumbnail | None:
        said = self.ask(request, alive, {"what": "thumbnail", "processor": processor})
        try:
            drawn: Thumbnail | None = _THUMBNAIL.validate_python(said["thumbnail"])
        except (KeyError, ValidationError) as error:
            raise ProcessingFailed("crash", f"no answer: {type(error).__name__}") from error
        if drawn is not None:
            expect_plain(request.folder / THUMBNAIL)
        return drawn

    def chunk(self, request: Request, alive: Alive, cut: Cut) -> int:
        said = self.ask(request, alive, {"what": "chunk", "cut": asdict(cut)})
        try:
            number: int = _NUMBER.validate_python(said["chunks"])
        except (KeyError, ValidationError) as error:
            raise ProcessingFailed("crash", f"no answer: {type(error).__name__}") from error
        expect_plain(request.folder / CHUNKS)
        return number
