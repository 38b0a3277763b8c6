"""Whether this worker is at work.

It is well when its queues are empty, when it is busy, or when Redis is away. It is not when something waits and nothing moves: nothing
was taken for a while though a child is free, or a task runs on beyond every limit.

A long backlog is no trouble: whoever works through it is busy. Judged in the parent, from what Celery counts there, in a thread of
its own, so that a consumer that stands still is seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery.worker import state
from redis import Redis

from app.adapters import pulse
from app.adapters.pulse import Pulse
from app.adapters.redis.client import unavailable
from app.domain.errors import Unavailable
from app.domain.version import VERSION
from worker import refusals

log = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be seen of a worker from its parent process."""

    waiting: int | None
    """Messages in its queues, and those that it took and gave to no child; None when Redis does not say."""
    running: int
    taken: int
    oldest_seconds: float = 0
    """How long the longest of the running ones runs."""
    refused: int = 0
    """Messages that nobody of ours sent."""


class Judge:
    """`stuck_seconds`: for how long nothing may move while something waits. `limit_seconds`: longer than that no task runs."""

    def __init__(self, *, stuck_seconds: float, limit_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self._limit_seconds = limit_seconds
        self._moved_at: float | None = None
        self._taken = 0

    def trouble(self, look: Look, now: float) -> str:
        """Empty: it is well. `now` counts seconds, from anywhere."""
        if look.oldest_seconds > self._limit_seconds:
            return f"a task runs for {look.oldest_seconds:.0f} s, and would have been ended after {self._limit_seconds:.0f} s"
        if self._moved_at is None or not look.waiting or look.running or look.taken != self._taken:
            self._moved_at, self._taken = now, look.taken
        still = now - self._moved_at
        return f"{look.waiting} wait, and nothing was taken for {still:.0f} s" if still > self._stuck_seconds else ""


class Watch:
    """Looks at this process's consumer. `queues`: those that it takes from, by their keys in Redis."""

    def __init__(self, redis: Redis, queues: Sequence[str]) -> None:
        self._redis = redis
        self._queues = queues
        self._since: dict[str, float] = {}
        """When each running task was first seen; by a clock that does not jump."""

    def __call__(self) -> Look:
        now = time.monotonic()
        running = {str(request.id) for request in _copy(state.active_requests)}
        self._since = {each: self._since.get(each, now) for each in running}
        held = max(0, len(state.reserved_requests) - len(running))
        oldest = now - min(self._since.values(), default=now)
        waiting: int | None
        try:
            with unavailable():
                waiting = held + sum(int(self._redis.llen(queue)) for queue in self._queues)
        except Unavailable:
            waiting = None
        return Look(waiting, len(running), state.all_total_count[0], oldest, refusals.count())


def _copy(requests: Iterable[Any]) -> list[Any]:
    """The consumer changes the set meanwhile; then it is looked at again."""
    while True:
        with suppress(RuntimeError):
            return list(requests)


class PulseThread:
    """Writes the pulse from `start` to `stop`."""

    def __init__(self, folder: Path, name: str, judge: Judge, seen: Callable[[], Look]) -> None:
        self._folder = folder
        self._name = name
        self._judge = judge
        self._seen = seen
        self._well_at = time.time()
        self._told = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(_EVERY_SECONDS)
        pulse.remove(self._folder, self._name)

    def beat(self) -> None:
        """One look, written down."""
        seen, now = self._seen(), time.time()
        trouble = self._judge.trouble(seen, time.monotonic())
        if trouble and not self._told:
            log.error("this worker is stuck: %s", trouble)
        self._told = trouble
        if not trouble:
            self._well_at = now
        written = Pulse(self._name, VERSION, now, trouble, seen.waiting, seen.running, seen.taken, seen.refused)
        try:
            pulse.write(self._folder, written, well_at=self._well_at)
        except OSError as error:  # a full disk, say: the file grows old, and the check sees that
            log.warning("no pulse: %s", error)

    def _run(self) -> None:
        while True:
            try:
                self.beat()
            except Exception:
                log.exception("no pulse")
            if self._stop.wait(_EVERY_SECONDS):
                return
