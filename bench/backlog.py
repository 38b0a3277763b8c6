"""What one user's backlog costs another user's small file: 2,000 PDFs that wait, and a document that comes after them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from bench.claim import Claim
from bench.session import Session
from tests.client import Client
from tests.documents import pdf
from tests.stack import Stack

_SMALL = {"a text": ("small.txt", b"a few words"), "a PDF": ("small.pdf", pdf(["a few words"]))}
_TIMES = 7
_BOUND_SECONDS = 2.0


def run(session: Session) -> Iterator[Claim]:
    count = 100 if session.quick else 2000
    stack = session.place("folder").stack
    with stack.client("in-no-hurry") as busy, stack.client("in-a-hurry") as other:
        idle = {name: median(took(other, *small) for _ in range(_TIMES)) for name, small in _SMALL.items()}
        document = pdf(["some words of a page"] * 20)
        sources = backlog(stack, document, count)
        for name, small in _SMALL.items():
            before = waiting(busy, sources)
            took_behind = [took(other, *small) for _ in range(_TIMES)]
            note = f"alone {idle[name]:.2f} s, worst {max(took_behind):.2f} s; {before} to {waiting(busy, sources)} of {count} waited"
            yield Claim(f"{name} of one user behind the backlog of another, its delay", median(took_behind) - idle[name], "s", bound=_BOUND_SECONDS, note=note)


def backlog(stack: Stack, document: bytes, count: int) -> list[str]:
    with stack.client("in-no-hurry") as client:
        channel = client.register(keep_open=True)

        def one(_: int) -> str:
            return client.upload(channel, document, filename="report.pdf", source=str(uuid.uuid4()))

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(count)))


def waiting(client: Client, sources: list[str]) -> int:
    """How many have not ended, by the place of those that wait; they are served in their order."""
    low, high = 0, len(sources)
    while low < high:
        middle = (low + high) // 2
        if client.show(sources[middle])["state"] in {"accepted", "processing"}:
            high = middle
        else:
            low = middle + 1
    return len(sources) - low


def took(client: Client, filename: str, body: bytes) -> float:
    channel = client.register()
    began = time.perf_counter()
    client.wait(client.upload(channel, body, filename=filename))
    return time.perf_counter() - began
