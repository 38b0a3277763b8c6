"""What a wrong key costs the API, while guesses are only refused and once they are throttled; and how long a right key from the same address waits."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from statistics import median
from time import perf_counter

from bench.claim import Claim
from bench.proc import cpu_seconds
from bench.session import Session

_BOUND_MS = 1.0


def run(session: Session) -> Iterator[Claim]:
    count = 200 if session.quick else 5000
    for guesses, what, status in ((10**9, "refused", 401), (20, "throttled", 429)):
        api, key = session.place("folder").api(guesses_per_minute=str(guesses))
        port = int(api.url.rpartition(":")[2])
        _ask(port, "wrong", 100)  # warm, and beyond what is only refused
        took = cpu_seconds(api.pid)
        statuses = _ask(port, "wrong", count)[0]
        took = cpu_seconds(api.pid) - took
        assert statuses == {status}, statuses
        yield Claim(f"a wrong key, {what}: CPU of the API", 1000 * took / count, "ms", bound=_BOUND_MS)
        served, seconds = _ask(port, key, 200)
        assert served == {200}, served
        yield Claim(f"a right key from the same address, wrong ones {what}: median", 1000 * median(seconds), "ms")
        session.place("folder").end(api)


def _ask(port: int, key: str, count: int) -> tuple[set[int], list[float]]:
    """Statuses and seconds of so many calls (a list of no sources), one after the other on one connection."""
    connection, statuses, seconds = HTTPConnection("127.0.0.1", port), set(), []
    for _ in range(count):
        started = perf_counter()
        connection.request("GET", "/public/sources", headers={"X-API-Key": key, "X-User-ID": "u"})
        answer = connection.getresponse()
        answer.read()
        seconds.append(perf_counter() - started)
        statuses.add(answer.status)
    connection.close()
    return statuses, seconds
