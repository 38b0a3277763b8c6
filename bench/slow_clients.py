"""Slow clients behind the nginx site that we ship: what an upload of somebody else takes meanwhile, and what they cost the API process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from statistics import quantiles

from bench import load
from bench.claim import Claim, Skipped
from bench.form import form
from bench.proc import Watch
from bench.session import Session
from tests import nginx
from tests.loris import Loris

_IDLE = _HALF = 250
_BODIES = 50
_RATE = 20.0
_P99_MS = 100.0
_MIB = 100.0


def run(session: Session) -> Iterator[Claim]:
    if nginx.binary() is None:
        raise Skipped("nginx is not installed")
    seconds = 3 if session.quick else 60
    api, key = session.place("folder").api()
    content_type, before, after = form(str(uuid.uuid4()), load.MARK.decode())
    headers = {"X-API-Key": key, "X-User-ID": "quick", "Content-Type": content_type}
    with nginx.Nginx([int(api.url.rpartition(":")[2])]) as front:
        target = load.Target(f"{front.url}/public/sources/upload-source", headers, before + b"q" * 1024 + after)
        plan = load.Plan([target], int(seconds * _RATE), _RATE, 8)
        alone = _p99(load.run(plan)[0])
        with Watch(api.pid) as watch, Loris(front.port, key, idle=_IDLE, half=_HALF, bodies=_BODIES) as slow:
            beside = _p99(load.run(plan)[0])
    what = f"{_IDLE + _HALF} idle and half-open connections and {_BODIES} slow bodies"
    note = f"{1000 * alone:.1f} ms alone; {sum(slow.ended.values())} of them were cut off in {seconds} s"
    yield Claim(f"beside {what}: an upload of 1 KB through nginx, p99", 1000 * beside, "ms", bound=_P99_MS, note=note)
    yield Claim(f"{what}: growth of the API process", watch.growth_mib, "MiB", bound=_MIB)


def _p99(latencies: list[float]) -> float:
    return quantiles(latencies, n=100)[98]
