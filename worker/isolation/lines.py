"""What a child says over its pipe: lines of JSON from somebody who cannot be trusted."""

from __future__ import annotations

import json
import os
import select
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from app.domain.errors import ProcessingFailed
from worker.isolation.parser import Progress

_BYTES: Final = 4 * 1024**2
"""More is no answer: the outline of a very large book has a tenth."""
_LAST: Final = ("answer", "thumbnail", "chunks", "embedded", "failed")
_PROGRESS: Final = TypeAdapter(Progress)


def wait_for(descriptor: int, seconds: float) -> bool:
    """Whether it can be read, or is at its end, within so long."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0, seconds) * 1000))


class Lines:
    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest = b""
        self.last: dict[str, Any] = {}
        """What ends the reading: an answer or a failure. Empty when nothing was said."""
        self.has_ended = False

    def take(self) -> Progress | None:
        """Whatever has come; the latest progress in it. Raises ProcessingFailed on what is none of our lines."""
        told = None
        while not self.has_ended:
            try:
                more = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                break
            self._rest += more
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                told = self._understood(line) or told
            self.has_ended = not more or bool(self.last)
            if len(self._rest) > _BYTES:
                raise ProcessingFailed("crash", "an answer of many megabytes")
        return told

    def _understood(self, line: bytes) -> Progress | None:
        try:
            message = json.loads(line)
            if progress := message.get("progress"):
                return _PROGRESS.validate_python(progress)
        except (ValueError, ValidationError, AttributeError, RecursionError) as error:
            raise ProcessingFailed("crash", "what it said is no line of ours") from error
        if any(name in message for name in _LAST):
            self.last = message
        return None
