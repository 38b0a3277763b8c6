"""The memory of an idle socket on each tier, and on uvicorn's own class. Each has a channel and an owner of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.claim import Claim
from bench.crowd import Crowd
from bench.lives import registered
from bench.pipeline import Pipeline
from bench.proc import rss_bytes
from bench.session import Place, Session

_FEW, _MANY = 1000, 10_000
_PARKED_BYTES, _HANDED_OFF_BYTES = 1024, 4096
_REST_SECONDS = 12.0
"""Two of the hub's sweeps: what they take is a part of what a socket costs."""


def run(session: Session) -> Iterator[Claim]:
    few, many = (200, 1000) if session.quick else (_FEW, _MANY)
    place = session.place("folder")
    stock = grow(place, few, many, "bench.stock_app")
    handed_off = grow(place, few, many, park_sockets="false")
    parked = grow(place, few, many)
    yield Claim("idle socket, uvicorn's default", stock, "B")
    yield Claim("idle socket, handed off", handed_off, "B", bound=_HANDED_OFF_BYTES)
    yield Claim("idle socket, parked", parked, "B", bound=_PARKED_BYTES)


def grow(place: Place, few: int, many: int, module: str = "app.main", **settings: str) -> float:
    """Bytes of each socket, between `few` and `many`, in a fresh API process, which is ended again."""
    api, _ = place.api(module, **settings)
    pipeline = Pipeline(place.redis_url)
    paths = [life.path for life in registered(pipeline, many)]
    pipeline.close()
    with Crowd(urlsplit(api.url).port or 0, paths) as crowd:
        crowd.grow(few)
        before = _rss_at_rest(api.pid)
        crowd.grow(many)
        growth = _rss_at_rest(api.pid) - before
        closed = crowd.heard(0, 0).closed
    assert not closed, closed
    place.end(api)
    return growth / (many - few)


def _rss_at_rest(pid: int) -> int:
    time.sleep(_REST_SECONDS)
    return rss_bytes(pid)
