"""A 10 KB upload answered by the whole stack, beside the floor: the same uvicorn, reading the body and doing one obstore PUT into the same store."""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Iterator
from statistics import median, quantiles

from bench import load
from bench.claim import Claim, Skipped
from bench.form import form
from bench.session import Place, Session
from tests.stack import Stack

_BODY_BYTES = 10 * 1024
_RATIO = 3.0
_P99_MS = 100.0
_RATE = 50.0
_AT_ONCE = 16


def run(session: Session) -> Iterator[Claim]:
    yield from measure(session, "folder")
    try:
        yield from measure(session, "s3")
    except Skipped as error:
        print(f"  s3 skipped: {error}", file=sys.stderr)


def measure(session: Session, kind: str) -> Iterator[Claim]:
    place = session.place(kind)
    alone, seconds = (30, 3) if session.quick else (200, 30)
    # obstore's PUT into a folder is forgotten by a power cut; what one that is not costs on this disk stands beside it.
    floors = ["put", "durable"] if kind == "folder" else ["put"]
    targets = [_upload(place.stack), *(_floor(place, floor) for floor in floors)]
    load.run(load.Plan(targets, 50, 20, 4))  # warm
    # Slow enough that the worker is done with the one before.
    yield from _medians(f"10 KB, {kind}, alone", floors, load.run(load.Plan(targets, alone, 4, 1)))
    found = load.run(load.Plan(targets, int(seconds * _RATE), _RATE, _AT_ONCE))
    yield from _medians(f"10 KB, {kind}, {_RATE:g}/s", floors, found)
    note = f"most {1000 * max(found[0]):.0f} ms; floor's p99 {1000 * _p99(found[1]):.1f} ms"
    yield Claim(f"10 KB, {kind}, {_RATE:g}/s: p99", 1000 * _p99(found[0]), "ms", bound=_P99_MS, note=note)


def _medians(name: str, floors: list[str], found: list[list[float]]) -> Iterator[Claim]:
    for floor, latencies in zip(floors, found[1:], strict=True):
        yield Claim(f"{name}: median, floor {floor}", 1000 * median(found[0]), "ms", 1000 * median(latencies), _RATIO)


def _p99(latencies: list[float]) -> float:
    return quantiles(latencies, n=100)[98]


def _upload(stack: Stack) -> load.Target:
    """A new source each, on a channel that the client opened before, as the quick-start does."""
    with stack.client("bench") as client:
        channel = client.register(str(uuid.uuid4()))
    content_type, before, after = form(channel, load.MARK.decode())
    headers = {"X-API-Key": stack.api_key, "X-User-ID": "bench", "Content-Type": content_type}
    return load.Target(f"{stack.base_url}/public/sources/upload-source", headers, before + _text() + after)


def _floor(place: Place, floor: str) -> load.Target:
    return load.Target(place.floor(floor).url, {"Content-Type": "application/octet-stream"}, _text())


def _text() -> bytes:
    words = random.Random(1)
    return b" ".join(b"%08x" % words.getrandbits(32) for _ in range(_BODY_BYTES // 9)).ljust(_BODY_BYTES)
