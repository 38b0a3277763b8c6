"""What one reader has not taken yet."""

from __future__ import annotations

import asyncio

from app.telemetry.metrics import OVERRUNS

_HELD = 200
"""Milestones that a listener may be behind. More are dropped: it reads them from the history instead."""
_HELD_BYTES = 256 * 1024

UNKNOWN = ("", 0)
"""The position of a reader whose channel Redis does not know any more."""

_SOURCE = b'"source-uuid":"'


def source_of_progress(message: bytes) -> bytes | None:
    """Whose progress it is; None for a milestone. The bytes are our own (domain/events.py), so their form is known."""
    if not message.startswith(b"p"):
        return None
    return message.partition(_SOURCE)[2].partition(b'"')[0]


class Listener:
    """`missed` says that something may be lacking: read the history again, which also has whatever is published until then.

    Of progress only the latest of each source is held. `position` is the (epoch, offset) up to which its reader has read;
    None while that is not settled.
    """

    def __init__(self) -> None:
        self.missed = False
        self.position: tuple[str, int] | None = None
        self._messages: dict[bytes | int, bytes] = {}  # by source (progress) or by number (milestones), as they came
        self._number = 0
        self._milestones = 0
        self._bytes = 0
        self._something = asyncio.Event()

    def put(self, message: bytes, source: bytes | None) -> None:
        """`source`: whose progress it is; None for a milestone."""
        self._something.set()
        if self.missed:
            return
        if source is None:
            self._number += 1
            self._milestones += 1
        else:
            self._bytes -= len(self._messages.pop(source, b""))
        self._messages[self._number if source is None else source] = message
        self._bytes += len(message)
        if self._milestones > _HELD or self._bytes > _HELD_BYTES:
            OVERRUNS.inc()
            self.miss()

    def miss(self) -> None:
        self.missed = True
        self._clear()
        self._something.set()

    def compare(self, head: tuple[str, int] | None) -> None:
        """With the channel's, as the sweep found it."""
        if self.position is not None and not self._messages and self.position != (head or UNKNOWN):
            self.miss()

    async def wait(self, seconds: float | None) -> bool:
        """True when there is something, False after so long; None waits for ever."""
        if self.missed:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return False
        return True

    @property
    def is_behind(self) -> bool:
        return bool(self._messages)

    def drop_progress(self) -> None:
        """What was just read is newer than the progress that waits here, and progress never goes back."""
        for source in [name for name in self._messages if isinstance(name, bytes)]:
            self._bytes -= len(self._messages.pop(source))

    def take(self) -> list[bytes]:
        self._something.clear()
        taken = list(self._messages.values())
        self._clear()
        return taken

    def _clear(self) -> None:
        self._messages.clear()
        self._milestones = self._bytes = 0
