"""How soon each of many sockets hears: 500 milestones a second to 9,000 of them, 10,000 a second to 1,000, and what one costs the API.

Publisher, API, Redis and clients are four processes; the milestones are appended by the ledger's own script, one channel a socket.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from urllib.parse import urlsplit

from bench import flood
from bench.claim import Claim
from bench.crowd import Crowd
from bench.lives import Life, registered
from bench.pipeline import Pipeline
from bench.proc import cpu_seconds
from bench.session import Session

_FEW, _SOME, _MANY = 100, 1000, 9000
_SLOW, _FAST = 500.0, 10_000.0
_SLOW_P99_MS, _FAST_P99_MS = 10.0, 50.0
_CPU_RATIO = 1.3
_PACE = 1.02
"""How much longer than planned the publishing may take: slower, and the rate was not what the claim says."""
_SETTLE_SECONDS = 2.0
_REST_SECONDS = 10.0
"""Two of the hub's sweeps."""
_LATE_SECONDS = 10.0
"""What has not come so long after the last publish is lost."""


def run(session: Session) -> Iterator[Claim]:
    many, seconds = (1000, 3) if session.quick else (_MANY, 15)
    place = session.place("folder")
    api, _ = place.api()
    pipeline = Pipeline(place.redis_url)
    lives = registered(pipeline, many)
    pipeline.run([life.claim() for life in lives])
    pipeline.close()
    with Crowd(urlsplit(api.url).port or 0, [life.path for life in lives]) as crowd:
        yard = Yard(place.redis_url, api.pid, crowd, lives)
        few = yard.pour(_FEW, _SLOW, seconds)
        fast = yard.pour(_SOME, _FAST, seconds / 2)
        much = yard.pour(many, _SLOW, seconds)
    yield Claim(f"{many} sockets, {_SLOW:g}/s: p99", much.p99, "ms", bound=_SLOW_P99_MS, note=much.note)
    yield Claim(f"{many} sockets, {_SLOW:g}/s: lost or out of order", much.lost, "", bound=0)
    yield Claim(f"{_SOME} sockets, {_FAST:g}/s: p99", fast.p99, "ms", bound=_FAST_P99_MS, note=fast.note)
    yield Claim(f"{_SOME} sockets, {_FAST:g}/s: lost or out of order", fast.lost, "", bound=0)
    yield Claim(f"{_SOME} sockets, {_FAST:g}/s: seconds to publish, beside the planned", fast.seconds, "s", fast.planned, _PACE)
    yield Claim(f"CPU of the API a milestone, {many} sockets beside {_FEW}", 1e6 * much.cpu, "us", 1e6 * few.cpu, _CPU_RATIO)
    yield Claim(f"CPU of the API at rest, {many} sockets", 100 * much.rest, "%", note=f"{_FEW} sockets: {100 * few.rest:.2f} %")


@dataclass(frozen=True, slots=True)
class Found:
    milliseconds: list[float]
    lost: int
    """Sent and not heard, or not in order."""
    seconds: float
    planned: float
    cpu: float
    """Seconds of the API for each milestone, beyond what it uses at rest."""
    rest: float
    """What it uses with the same sockets open and nothing to tell, of one core."""

    @property
    def p99(self) -> float:
        return quantiles(self.milliseconds, n=100)[98]

    @property
    def note(self) -> str:
        return f"median {median(self.milliseconds):.2f} ms, most {max(self.milliseconds):.1f} ms, {len(self.milliseconds)} milestones"


class Yard:
    """Where it happens: an API process, its clients, and the sources that are told of, in the order of the sockets."""

    def __init__(self, redis_url: str, pid: int, crowd: Crowd, lives: list[Life]) -> None:
        self._redis_url, self._pid, self._crowd, self._lives = redis_url, pid, crowd, lives
        self._seq = 1

    def pour(self, sockets: int, rate: float, seconds: float) -> Found:
        """So many milestones a second to so many sockets, in turn, for so many seconds and the rest of the last turn."""
        self._crowd.grow(sockets)
        rounds = math.ceil(rate * seconds / sockets)
        plan = flood.Flood(self._redis_url, self._lives[:sockets], self._seq, rate, rounds)
        self._seq += rounds
        planned = sockets * rounds / rate
        time.sleep(_SETTLE_SECONDS)
        began, at = time.monotonic(), cpu_seconds(self._pid)
        time.sleep(_REST_SECONDS)
        rest = (cpu_seconds(self._pid) - at) / (time.monotonic() - began)
        began, at = time.monotonic(), cpu_seconds(self._pid)
        poured = flood.run(plan)
        heard = self._crowd.heard(poured.sent, _LATE_SECONDS)
        cpu = (cpu_seconds(self._pid) - at - rest * (time.monotonic() - began)) / poured.sent
        assert poured.appended == poured.sent, poured
        assert not heard.closed, heard.closed
        lost = poured.sent - len(heard.milliseconds) + heard.disordered
        return Found(heard.milliseconds, lost, poured.seconds, planned, cpu, rest)
