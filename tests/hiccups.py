"""A store of whose calls every second one is refused, whatever it is, and every second chunk of whose reads breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.domain.errors import Unavailable


class Hiccups:
    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.refused = 0
        self._calls = {"call": 0, "chunk": 0}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if name not in {"abort", "close", "link", "probe"}:
                self._maybe("call")
            answer = real(*args, **kwargs)
            if name == "read":
                return self._chunks(answer)
            return Hiccups(answer) if name == "start" else answer

        return call

    def _chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._maybe("chunk")
            yield chunk

    def _maybe(self, what: str) -> None:
        self._calls[what] += 1
        if self._calls[what] % 2:
            self.refused += 1
            raise Unavailable("storage_unavailable")
