"""A large upload against a null S3: CPU time of the API beside the floor's (the same uvicorn, a bare boto3 part loop), and what its memory grows by.

Only the API, the sink and a Redis run: workers would read the bytes back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from statistics import median

from bench import sender
from bench.claim import Claim
from bench.form import form
from bench.proc import Watch
from bench.session import Server, Session

_GIB = 1024**3
_CPU_RATIO = 1.4
_ONE_MIB = 64.0
_EIGHT_MIB = 400.0
_AT_ONCE = 8


def run(session: Session) -> Iterator[Claim]:
    size, rounds = (_GIB // 8, 1) if session.quick else (_GIB, 5)
    place = session.place("null")
    api, key = place.api()
    floor = place.floor("parts")
    sender.run([_upload(api, key, 1024**2)])  # warm, with what is one PUT
    sender.run([_bare(floor, 1024**2)])
    ours, bare, growth, floor_growth = [], [], [], []
    for _ in range(rounds):
        with Watch(api.pid) as watch:
            sender.run([_upload(api, key, size)])
        ours.append(watch.cpu_seconds)
        growth.append(watch.growth_mib)
        with Watch(floor.pid) as watch:
            sender.run([_bare(floor, size)])
        bare.append(watch.cpu_seconds)
        floor_growth.append(watch.growth_mib)
    yield Claim(f"{_name(size)}: CPU of the API", median(ours), "s", median(bare), _CPU_RATIO)
    # The first upload of a fresh process grows it the most.
    yield Claim(f"{_name(size)}: memory growth", max(growth), "MiB", bound=_ONE_MIB, note=f"floor {max(floor_growth):.0f} MiB")
    fresh, key = place.api()
    sender.run([_upload(fresh, key, 1024**2)])
    size = _GIB // 4 if session.quick else _GIB
    with Watch(fresh.pid) as watch:
        sender.run([_upload(fresh, key, size) for _ in range(_AT_ONCE)])
    yield Claim(f"{_AT_ONCE} x {_name(size)} at once: memory growth", watch.growth_mib, "MiB", bound=_EIGHT_MIB)


def _name(size: int) -> str:
    return f"{size // 1024**2} MiB"


def _upload(api: Server, key: str, size: int) -> sender.Body:
    content_type, before, after = form(str(uuid.uuid4()), uuid.uuid4().hex)
    headers = {"X-API-Key": key, "X-User-ID": "bench", "Content-Type": content_type}
    return sender.Body(f"{api.url}/public/sources/upload-source", headers, before, size, after)


def _bare(floor: Server, size: int) -> sender.Body:
    return sender.Body(floor.url, {"Content-Type": "application/octet-stream"}, b"", size, b"")
