"""A position in a channel, as clients send it back: `<epoch>:<offset>`, the `event-id` of the last milestone they have."""

from __future__ import annotations

import re
from typing import NamedTuple

from app.domain.errors import InvalidRequest

_POSITION = re.compile(r"([A-Za-z0-9]{1,64}):([0-9]{1,15})", re.ASCII)


class Position(NamedTuple):
    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"


def position(text: str) -> Position:
    """Raises InvalidRequest (400) when it is none of ours."""
    found = _POSITION.fullmatch(text)
    if found is None:
        raise InvalidRequest("invalid_position", "a position is the event-id of a message: <epoch>:<offset>")
    return Position(found[1], int(found[2]))


def start(texts: list[str]) -> Position | None:
    """Where a client asks to go on: None when it does not say. Raises InvalidRequest."""
    return position(texts[-1]) if texts else None
