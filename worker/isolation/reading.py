"""The reading itself: runs in the process that lives for one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace_plugin import Failed, Reading, Thumbnail, Unsupported
from worker.chunks import cutting
from worker.isolation.answer import Answer, answer
from worker.isolation.parser import Request
from worker.processors.base import Processor
from worker.processors.registry import Registry

Tell = Callable[[dict[str, Any]], None]


def processor(registry: Registry, request: Request, turn: int) -> Processor | None:
    """Whose turn it is of those that take the media type, from 0; None: all were asked."""
    asked = registry.reading(request.media_type)
    return asked[turn] if turn < len(asked) else None


def extract(processor: Processor | None, request: Request, tell: Tell) -> Answer | None:
    """None: it is the next one's turn. Raises Failed, Away, and whatever the processor lets through."""
    if processor is None:
        return Answer()
    with _reading(request, tell) as reading:
        try:
            return answer(reading, processor.process(reading), processor)
        except Unsupported:
            reading.reset()
            return None


def thumbnail(registry: Registry, request: Request, tell: Tell, *, processor: str) -> Thumbnail | None:
    with _reading(request, tell) as reading:
        found = next((each for each in registry.reading(request.media_type) if each.name == processor), None)
        draw: Callable[[Reading], Thumbnail | None] | None = getattr(found, "thumbnail", None)
        return draw(reading) if draw is not None else None


def chunk(request: Request, cut: cutting.Cut, tell: Tell) -> int:
    return cutting.write(request.folder, cut, tell)


def failure(error: BaseException) -> Failed:
    """What an exception out of a reading says of the file."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, MemoryError | RecursionError):
        return Failed("resource_limit", type(error).__name__)
    return Failed("crash", f"{type(error).__name__}: {error}")


def _reading(request: Request, tell: Tell) -> Reading:
    return Reading(
        request.path, request.media_type, request.folder, filename=request.filename, limits=request.limits, options=request.options, tell=tell
    )  # fmt: skip
