"""Reading in this very process: for tests and for trying a processor. Nothing is isolated."""

from __future__ import annotations

import itertools
from typing import Any

from app.domain.errors import ProcessingFailed
from headrace_plugin import Thumbnail
from worker.chunks.cutting import Cut
from worker.isolation import reading
from worker.isolation.answer import Answer
from worker.isolation.parser import Alive, Progress, Request
from worker.processors import registry


class Inline:
    """A Parser."""

    def __init__(self, processors: registry.Registry | None = None) -> None:
        self._registry = processors or registry.load()

    def extract(self, request: Request, alive: Alive) -> Answer:
        try:
            return self._extract(request, alive)
        except _Stopped as stopped:
            raise stopped.reason from None
        except Exception as error:
            failed = reading.failure(error)
            raise ProcessingFailed(failed.code, failed.detail) from error

    def _extract(self, request: Request, alive: Alive) -> Answer:
        for turn in itertools.count():
            answer = reading.extract(reading.processor(self._registry, request, turn), request, _teller(alive))
            if answer is not None:
                return answer
        raise AssertionError("the last turn has an answer")

    def thumbnail(self, request: Request, alive: Alive, *, processor: str) -> Thumbnail | None:
        try:
            return reading.thumbnail(self._registry, request, _teller(alive), processor=processor)
        except _Stopped as stopped:
            raise stopped.reason from None
        except Exception as error:
            failed = reading.failure(error)
            raise ProcessingFailed(failed.code, failed.detail) from error

    def chunk(self, request: Request, alive: Alive, cut: Cut) -> int:
        try:
            return reading.chunk(request, cut, _teller(alive))
        except _Stopped as stopped:
            raise stopped.reason from None
        except Exception as error:
            failed = reading.failure(error)
            raise ProcessingFailed(failed.code, failed.detail) from error

    def warm(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Stopped(BaseException):
    """Carries what `alive` raised past a processor that would catch it."""

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason


def _teller(alive: Alive) -> reading.Tell:
    def tell(message: dict[str, Any]) -> None:
        try:
            alive(Progress(**message["progress"]))
        except BaseException as reason:  # noqa: BLE001 - it is raised again, where no processor catches it
            raise _Stopped(reason) from None

    return tell
