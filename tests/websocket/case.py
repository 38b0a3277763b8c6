"""A case of Autobahn's suite: what is sent (cases.py, utf8.py), and what must come of it (published.json).

published.json has the facts of autobahntestsuite 25.10.1, sections 1 to 7 and 10, one case a line: `sends`, a digest of what goes over the wire (below);
the events that are `ok` and those that are `non-strict` (kind, payload in hex, how often it is repeated); who `closes`, and the `codes` that the
server's close may have; whether a `clean` closing handshake is required. In some a wrong code (`code-decides`) or the wrong side to close
(`closer-decides`) fails the whole case; what is `informational` has no wrong outcome.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.websocket.frames import CLOSE, Frame, mask, split

PUBLISHED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "published.json").read_text())

Part = list[bytes]
"""Chunks, each written on its own. Between two parts the server has time to react."""


@dataclass(frozen=True)
class Case:
    id: str
    parts: Sequence[Part]

    @property
    def expected(self) -> dict[str, Any]:
        return PUBLISHED[self.id]

    @property
    def closes_by_itself(self) -> bool:
        """That the client's close is part of what is sent; else it follows when everything was received."""
        return self.expected["closes"] == "client" and any(head[0] & 0x0F == CLOSE for head, *_ in split(self._stream))

    @property
    def digest(self) -> str:
        """Of the sizes of the chunks, and of all that they carry, unmasked."""
        bare = b"".join(head + mask(body, key) for head, key, body in split(self._stream))
        sizes = [[len(chunk) for chunk in part] for part in self.parts]
        return hashlib.sha256(json.dumps([sizes, bare.hex()], separators=(",", ":")).encode()).hexdigest()[:16]

    @property
    def _stream(self) -> bytes:
        return b"".join(chunk for part in self.parts for chunk in part)


def together(*frames: Frame) -> Part:
    return [b"".join(frame.masked() for frame in frames)]


def one_by_one(*frames: Frame) -> Part:
    return [frame.masked() for frame in frames]


def chopped(*frames: Frame, size: int = 1) -> Part:
    return [chunk[at : at + size] for chunk in one_by_one(*frames) for at in range(0, len(chunk), size)]
