"""Outlets and a keeper for tests of readers."""

from __future__ import annotations

import asyncio
import json

from app.services.reader import Reader
from tests.unit.doubles import ADA, CHANNEL


class Line:
    """Implements Outlet. `takes` is how many messages it still takes; those that it took with `stuck` set are never written."""

    def __init__(self, takes: int | None = None) -> None:
        self.heard: list[bytes] = []
        self.codes: list[int] = []
        self.takes = takes
        self.waiting = 0
        self.stuck = False
        self.roomy = asyncio.Event()
        self.roomy.set()

    def send(self, message: bytes) -> bool:
        assert not self.codes, "nothing is sent to who was closed"
        if self.takes is not None:
            if not self.takes:
                return False
            self.takes -= 1
        self.heard.append(message)
        self.waiting += self.stuck
        return True

    async def room(self) -> None:
        await self.roomy.wait()

    def close(self, code: int) -> None:
        self.codes.append(code)

    @property
    def events(self) -> list[dict]:
        return [json.loads(message) for message in self.heard]


class Keeper:
    """Notes what its readers ask for, and does none of it."""

    def __init__(self) -> None:
        self.behind: list[Reader] = []
        self.lingering: list[Reader] = []
        self.looking: list[Reader] = []
        self.gone: list[tuple[Reader, int]] = []

    def catch_up(self, reader: Reader) -> None:
        self.behind.append(reader)

    def linger(self, reader: Reader) -> None:
        self.lingering.append(reader)

    def look(self, reader: Reader) -> None:
        self.looking.append(reader)

    def left(self, reader: Reader, told: int) -> None:
        self.gone.append((reader, told))


def a_reader(owner=ADA, channel=CHANNEL, *, at=None, line=None, keeper=None) -> Reader:
    """Live at that position; else one that is still to read its history."""
    made = Reader(keeper or Keeper(), (owner, channel), line or Line())
    if at is not None:
        (made.epoch, made.offset), made.held = at, None
    return made
