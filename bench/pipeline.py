"""The ledger's own calls, many in one round trip: what fills a Redis with thousands of channels and sources in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from redis import Redis
from redis.connection import Connection

from app.adapters.redis.calls import Call
from app.adapters.redis.client import script

T = TypeVar("T")

_AT_ONCE = 500


class Pipeline:
    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url, socket_timeout=60)
        self._shas: dict[str, str] = {}

    def _command(self, call: Call[Any]) -> tuple[Any, ...]:
        """With the script loaded."""
        if call.script not in self._shas:
            self._shas[call.script] = self.redis.script_load(script(call.script))
        return "EVALSHA", self._shas[call.script], len(call.keys), *call.keys, *call.args

    def packed(self, call: Call[Any]) -> bytes:
        """As it goes over the wire."""
        return b"".join(Connection().pack_command(*self._command(call)))

    def run(self, calls: Sequence[Call[T]]) -> list[T]:
        """Their answers, in order. Raises the first error that Redis answered."""
        answers: list[T] = []
        for first in range(0, len(calls), _AT_ONCE):
            some = calls[first : first + _AT_ONCE]
            with self.redis.pipeline(transaction=False) as pipe:
                for call in some:
                    pipe.execute_command(*self._command(call))
                answers += [call.parse(answer) for call, answer in zip(some, pipe.execute(), strict=True)]
        return answers

    def close(self) -> None:
        self.redis.close()
