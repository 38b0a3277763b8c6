"""Where one reader's messages go: a socket, or a mailbox that a generator empties."""

from __future__ import annotations

from typing import Protocol


class Outlet(Protocol):
    """What is sent here neither waits nor raises: who is slow is the outlet's own affair, and never delays other readers."""

    @property
    def waiting(self) -> int:
        """How many messages it took and never wrote, also when it is gone: its reader was not told those."""

    def send(self, message: bytes) -> bool:
        """Take one JSON text. False: it is gone, or was over its bound and is being cut off; then nothing more is sent to it."""

    async def room(self) -> None:
        """Returns when less than half of the bound waits, or it is gone. History is told no faster than that."""

    def close(self, code: int) -> None:
        """Close after what waits was written. Repeated, or when it is gone: nothing."""


class Unanswered:
    """The outlet of a reader whose client has no answer yet: nothing is said, and what comes is held."""

    waiting = 0

    def send(self, message: bytes) -> bool:  # noqa: ARG002 - as of every outlet
        return False

    async def room(self) -> None:
        return

    def close(self, code: int) -> None:
        """Who would answer it is told what was wrong."""
