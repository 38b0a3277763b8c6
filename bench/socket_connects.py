"""How long a socket takes to be opened, beside the same application on the class that uvicorn takes by itself.

Each has a channel and an owner of its own, and comes with a token. The API has a core to itself, its Redis and its clients have the others: else, on two
cores, they take from whichever of the two APIs leaves more of them idle.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import mean, median
from urllib.parse import urlsplit

from bench.claim import Claim
from bench.crowd import Crowd
from bench.lives import registered
from bench.pipeline import Pipeline
from bench.proc import apart, cpu_seconds
from bench.session import Place, Session

_ROUNDS, _A_ROUND = 10, 500
_RATIO = 1 / 3


def run(session: Session) -> Iterator[Claim]:
    rounds, a_round = (2, 200) if session.quick else (_ROUNDS, _A_ROUND)
    place = session.place("folder")
    with ExitStack() as held:
        doors = [Door(place, held, module, (rounds + 1) * a_round) for module in ("app.main", "bench.stock_app")]
        held.enter_context(apart([door.api for door in doors], [place.redis_pid, *(door.crowd for door in doors)]))
        for _ in range(rounds + 1):  # the first warms
            for door in doors:
                door.open(a_round)
        ours, stock = (door.found() for door in doors)
        for door in doors:
            door.close()
    note = f"{1 / ours[0]:.0f} a second, the floor {1 / stock[0]:.0f}; CPU of the API {1e6 * ours[1]:.0f} us, the floor's {1e6 * stock[1]:.0f}"
    yield Claim("one connect of many", 1e6 * ours[0], "us", 1e6 * stock[0], _RATIO, note)


class Door:
    """An API process of its own, and its clients. Those of the others wait while this one's connect."""

    def __init__(self, place: Place, held: ExitStack, module: str, most: int) -> None:
        self._place = place
        self._api, _ = place.api(module)
        pipeline = Pipeline(place.redis_url)
        paths = [life.path for life in registered(pipeline, most)]
        pipeline.close()
        self._crowd = held.enter_context(Crowd(urlsplit(self._api.url).port or 0, paths))
        self._open = 0
        self._seconds: list[float] = []
        self._cpu: list[float] = []

    @property
    def api(self) -> int:
        return self._api.pid

    @property
    def crowd(self) -> int:
        return self._crowd.pid

    def open(self, count: int) -> None:
        self._open += count
        used = cpu_seconds(self._api.pid)
        self._seconds.append(self._crowd.grow(self._open) / count)
        time.sleep(0.2)  # what a connect leaves to be done is a part of it
        self._cpu.append((cpu_seconds(self._api.pid) - used) / count)

    def found(self) -> tuple[float, float]:
        """Seconds from one accepted socket to the next, with 64 handshakes under way, of the middle round; and of CPU, of all."""
        return median(self._seconds[1:]), mean(self._cpu[1:])

    def close(self) -> None:
        closed = self._crowd.heard(0, 0).closed
        assert not closed, closed
        self._place.end(self._api)
