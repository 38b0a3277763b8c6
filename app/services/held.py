"""What comes live for a reader while it reads its history."""

from __future__ import annotations

from app.services.message import Message
from app.telemetry.metrics import OVERRUNS

_HELD = 200
"""Milestones that are held. More are dropped: the reader reads them from the history instead."""
_HELD_BYTES = 256 * 1024


class Held:
    """In the order in which it came; of progress only the latest of each source.

    `missed` says that something may be lacking: read the history again, which also has whatever is published until then.
    """

    __slots__ = ("_bytes", "_messages", "_milestones", "missed")

    def __init__(self, *, missed: bool = False) -> None:
        self.missed = missed
        self._messages: dict[str | int, Message] = {}  # by source (progress) or by number (milestones)
        self._milestones = 0
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._messages)

    def put(self, message: Message) -> None:
        if self.missed:
            return
        if message.offset:
            self._milestones += 1
            self._messages[self._milestones] = message
        else:
            source = message.event.get("source-uuid", "")
            before = self._messages.pop(source, None)
            self._bytes -= len(before.body) if before else 0
            self._messages[source] = message
        self._bytes += len(message.body)
        if self._milestones > _HELD or self._bytes > _HELD_BYTES:
            OVERRUNS.inc()
            self.miss()

    def miss(self) -> None:
        self.missed = True
        self._clear()

    def take(self) -> list[Message]:
        taken = list(self._messages.values())
        self._clear()
        return taken

    def _clear(self) -> None:
        self._messages.clear()
        self._milestones = self._bytes = 0
