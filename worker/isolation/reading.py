"""The reading itself: runs in the process that lives for one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace_plugin import Failed, Reading, Thumbnail
from worker.isolation.answer import Answer, answer
from worker.isolation.parser import Request
from worker.processors.registry import Registry

Tell = Callable[[dict[str, Any]], None]


def extract(registry: Registry, request: Request, tell: Tell) -> Answer:
    """Raises Failed, and whatever a processor lets through."""
    with _reading(request, tell) as reading:
        found = registry.process(reading)
        if found is None:
            return Answer()
        processor, extracted = found
        return answer(reading, extracted, processor=processor.name, version=processor.version)


def thumbnail(registry: Registry, request: Request, tell: Tell, *, processor: str) -> Thumbnail | None:
    with _reading(request, tell) as reading:
        found = next((each for each in registry.reading(request.media_type) if each.name == processor), None)
        draw: Callable[[Reading], Thumbnail | None] | None = getattr(found, "thumbnail", None)
        return draw(reading) if draw is not None else None


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
