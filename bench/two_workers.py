"""A mixed corpus with one worker process and with two, in turns: how much faster two are on a machine of two cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from bench import corpus
from bench.claim import Claim, Skipped
from bench.proc import below, cpu_seconds
from bench.session import Place, Session
from tests.client import Client

_TIMES_AS_FAST = 1.7
_WARM = 24
"""So many ends pass before the clock starts: by then each worker has started, and its parser host."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """All times for one source, in ms."""

    wall: float
    workers: float
    """CPU of the workers with all that they started: Celery's parent, the child, the parser host, the readings."""
    others: float
    """CPU of API, Redis and reconciler."""


def run(session: Session) -> Iterator[Claim]:
    if (os.cpu_count() or 1) < 2:
        raise Skipped("it has a single core")
    session.leave()  # a store and a Redis of its own
    place = session.place("folder")
    documents = corpus.documents(4 if session.quick else 16)  # fewer than those after which a child of the pool is exchanged
    api, key = place.api()
    others = [api.pid, place.redis_pid, place.reconciler().pid]
    passes: dict[int, list[_Pass]] = {1: [], 2: []}
    with Client(api.url, key) as client:
        for _ in range(1 if session.quick else 3):
            for count, kept in passes.items():
                kept.append(_pass(place, client, documents, count, others))
    one, two = (median(each.wall for each in kept) for kept in passes.values())
    for count, kept in passes.items():
        note = f"CPU: workers {median(each.workers for each in kept):.1f} ms, API, Redis and reconciler {median(each.others for each in kept):.1f}"
        yield Claim(f"a source of a mixed corpus, workers: {count}", median(each.wall for each in kept), "ms", note=note)
    note = f"{one / two:.2f} times as fast; floor: one worker; {len(documents)} documents, {len(passes[1])} passes of each in turns"
    yield Claim("a source of a mixed corpus, two workers", two, "ms", floor=one, bound=1 / _TIMES_AS_FAST, note=note)


def _pass(place: Place, client: Client, documents: Sequence[tuple[str, bytes]], count: int, others: Sequence[int]) -> _Pass:
    """The corpus is accepted first, so that the workers have nothing to wait for, and the API little to do meanwhile. Nobody watches a socket."""
    channel = client.register()
    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(lambda each: client.upload(channel, each[1], filename=each[0]), documents))
    workers = [place.worker(f"bench{number}") for number in range(count)]
    _await_ends(place, len(documents) - _WARM)
    began, used, by_others = time.perf_counter(), _cpu(below(*(worker.pid for worker in workers))), _cpu(others)
    _await_ends(place, 0)
    wall = time.perf_counter() - began
    used, by_others = _cpu(below(*(worker.pid for worker in workers))) - used, _cpu(others) - by_others
    ended = {client.wait(source)["state"] for source in sources}
    if ended != {"succeeded"}:
        raise RuntimeError(f"sources ended as {ended}")
    for worker in workers:
        place.end(worker)
    each = 1000 / (len(documents) - _WARM)
    return _Pass(wall * each, used * each, by_others * each)


def _await_ends(place: Place, left: int) -> None:
    """Until no more sources than `left` have an end before them: the inbox record goes when it was said. Looked up 50 times a second."""
    inbox, until = place.folder / "inbox", time.monotonic() + 300
    while sum(1 for _ in inbox.iterdir()) > left:
        if time.monotonic() > until:
            raise RuntimeError("the sources do not end")
        time.sleep(0.02)


def _cpu(pids: Sequence[int]) -> float:
    """Of what has ended meanwhile too, by whoever it belonged to."""
    return sum(cpu_seconds(pid, children=True) for pid in pids)
