"""Message: one JSON text of a channel, as the live link or the history has it."""

from __future__ import annotations

from typing import Any

from app.domain.wire import parse

ENDS = frozenset({"source.succeeded", "source.failed"})
"""The events that end a run."""


class Message:
    """Made once for all readers of the channel, who get its bytes as they are. `offset` is 0 for what is no milestone."""

    __slots__ = ("_event", "body", "epoch", "offset")

    def __init__(self, body: bytes, epoch: str = "", offset: int = 0) -> None:
        self.body = body
        self.epoch = epoch
        self.offset = offset
        self._event: dict[str, Any] | None = None

    @classmethod
    def published(cls, text: bytes) -> Message:
        """From the form in which ports.LiveFeed hands it on."""
        kind, _, rest = text.partition(b" ")
        if kind == b"p":
            return cls(rest)
        offset, _, rest = rest.partition(b" ")
        epoch, _, body = rest.partition(b" ")
        return cls(body, epoch.decode(), int(offset))

    @property
    def event(self) -> dict[str, Any]:
        """What it says. Parsed when somebody asks first."""
        if self._event is None:
            self._event = parse(self.body)
        return self._event

    @property
    def run(self) -> tuple[str, int]:
        """The source and run that it is about."""
        return self.event["source-uuid"], self.event["run"]

    @property
    def is_end(self) -> bool:
        return self.event["event"] in ENDS
