"""What is sent, of which kind, and what must become of it."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.documents import encrypted_pdf, pdf, png

POISON = "poison.txt"
"""Whoever reads a file of that name dies (fragile.py)."""
SUCCEEDED = ("succeeded", None)
MIB = 1024 * 1024
PARTS_OVER_BYTES = 8 * MIB
"""More than that goes to the store in parts."""


@dataclass(slots=True)
class Submission:
    kind: str
    filename: str
    body: bytes | None = None
    path: str | None = None
    """At the origin, of what is imported."""
    sha256: str | None = None
    expected: tuple[str, str | None] = SUCCEEDED
    """State and code of the end."""
    twice: bool = False
    """Sent by two requests at once, as an impatient client does."""
    source: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered_at: float | None = None
    """When it was answered 200, by the run's clock; None: in doubt, for no answer came."""
    answers: list[tuple[float, str]] = field(default_factory=list)


def _words(chance: random.Random, least: int, most: int) -> bytes:
    line = f"{chance.getrandbits(64):016x} all work and no play\n".encode()
    return (line * (chance.randint(least, most) // len(line) + 1))[:most]


def _of(kind: str, filename: str, body: bytes, **more) -> Submission:
    return Submission(kind, filename, body, sha256=hashlib.sha256(body).hexdigest(), **more)


def imported(path: str) -> Submission:
    """From the origin's page of that path."""
    return Submission("import", "", path=path, sha256=hashlib.sha256(page(path)).hexdigest())


def page(path: str) -> bytes:
    """What the origin has there."""
    return f"words of {path}\n".encode() * 200


KINDS: dict[str, tuple[float, Callable[[random.Random], Submission]]] = {
    # Each with its share of all.
    "text": (42, lambda c: _of("text", "a.txt", _words(c, 100, 40_000))),
    "pdf": (18, lambda c: _of("pdf", "a.pdf", pdf([f"page {n} {c.getrandbits(64)}" for n in range(c.randint(1, 30))]))),
    "import": (13, lambda c: imported(f"/{c.getrandbits(64):016x}.txt")),
    "long text": (8, lambda c: _of("long text", "long.txt", _words(c, 100_000, 800_000))),
    "image": (5, lambda c: _of("image", "a.png", png(c.randint(1, 200), c.randint(1, 200)))),
    "twice": (4, lambda c: _of("twice", "a.txt", _words(c, 100, 4_000), twice=True)),
    "in parts": (3, lambda c: _of("in parts", "big.bin", c.randbytes(MIB) * c.randint(9, 20))),
    "encrypted": (3, lambda c: _of("encrypted", "a.pdf", encrypted_pdf((f"{c.getrandbits(64)}",)), expected=("failed", "encrypted"))),
    "gone": (2, lambda c: Submission("gone", "", path=f"/404/{c.getrandbits(64)}", expected=("failed", "fetch_failed"))),
    "poison": (2, lambda c: _of("poison", POISON, _words(c, 100, 1_000), expected=("failed", "crash"))),
}


def submission(chance: random.Random, kind: str | None = None) -> Submission:
    """The next one, of a kind by chance."""
    kind = kind or chance.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
    return KINDS[kind][1](chance)
