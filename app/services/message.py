"""Message: one JSON text of a channel, as the live link or the history has it."""

from __future__ import annotations

from typing import Any

from app.domain.wire import parse

ENDS = frozenset({"source.succeeded", "source.failed"})
"""The events that end a run."""


class Message:
    """Made once for all readers of the channel, who get its bytes as they are."""

    __slots__ = ("_event", "body", "epoch", "head", "offset")

    def __init__(self, body: bytes, epoch: str = "", offset: int = 0, *, head: int = 0) -> None:
        self.body = body
        self.epoch = epoch
        """Empty where the message says nothing of milestones."""
        self.offset = offset
        """0 for what is no milestone."""
        self.head = head or offset
        """How far the milestones were when it was said."""
        self._event: dict[str, Any] | None = None

    @classmethod
    def published(cls, text: bytes) -> Message:
        """From the form in which ports.LiveFeed hands it on."""
        kind, _, rest = text.partition(b" ")
        if kind == b"p":
            return cls.progress(rest)
        offset, _, rest = rest.partition(b" ")
        epoch, _, body = rest.partition(b" ")
        return cls(body, epoch.decode(), int(offset))

    @classmethod
    def progress(cls, text: bytes) -> Message:
        """From the form in which ports.Channels keeps the latest one."""
        if text.startswith(b"{"):
            return cls(text)
        head, epoch, body = text.split(b" ", 2)
        return cls(body, epoch.decode(), head=int(head))

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
