"""The memory of an idle socket on each tier beside uvicorn's own class, and the time of a connect. Each has a channel and an owner of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.claim import Claim
from bench.crowd import Crowd
from bench.lives import registered
from bench.pipeline import Pipeline
from bench.proc import cpu_seconds, rss_bytes
from bench.session import Place, Session

_FEW, _MANY = 1000, 10_000
_PARKED_BYTES, _HANDED_OFF_BYTES = 1024, 4096
_CONNECT_RATIO = 1 / 3
_REST_SECONDS = 12.0
"""Two of the hub's sweeps: what they take is a part of what a socket costs."""


def run(session: Session) -> Iterator[Claim]:
    few, many = (200, 1000) if session.quick else (_FEW, _MANY)
    place = session.place("folder")
    stock = grow(place, few, many, "bench.stock_app")
    handed_off = grow(place, few, many, park_sockets="false")
    parked = grow(place, few, many)
    yield Claim("idle socket, uvicorn's default", stock.bytes, "B")
    yield Claim("idle socket, handed off", handed_off.bytes, "B", bound=_HANDED_OFF_BYTES)
    yield Claim("idle socket, parked", parked.bytes, "B", bound=_PARKED_BYTES)
    note = f"{1 / parked.connect:.0f} a second, the floor {1 / stock.connect:.0f}; CPU {1e6 * parked.cpu:.0f} us, the floor {1e6 * stock.cpu:.0f}"
    yield Claim("one connect of many, parked", 1e6 * parked.connect, "us", 1e6 * stock.connect, _CONNECT_RATIO, note)


@dataclass(frozen=True, slots=True)
class Grown:
    bytes: float
    """Of each socket, between `few` and `many`."""
    connect: float
    """Seconds from one accepted socket to the next, with 64 handshakes under way."""
    cpu: float
    """Of the API, for one connect."""


def grow(place: Place, few: int, many: int, module: str = "app.main", **settings: str) -> Grown:
    """A fresh API process, ended again."""
    api, _ = place.api(module, **settings)
    pipeline = Pipeline(place.redis_url)
    paths = [life.path for life in registered(pipeline, many)]
    pipeline.close()
    with Crowd(urlsplit(api.url).port or 0, paths) as crowd:
        crowd.grow(few)
        before, used = _rss_at_rest(api.pid), cpu_seconds(api.pid)
        connect = crowd.grow(many)
        cpu = cpu_seconds(api.pid) - used
        growth = _rss_at_rest(api.pid) - before
        closed = crowd.heard(0, 0).closed
    assert not closed, closed
    place.end(api)
    return Grown(growth / (many - few), connect / (many - few), cpu / (many - few))


def _rss_at_rest(pid: int) -> int:
    time.sleep(_REST_SECONDS)
    return rss_bytes(pid)
