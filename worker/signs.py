"""What a worker shows of itself while it runs: its pulse on this host, and its place in the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from app import wiring
from app.adapters.redis.client import connect
from app.adapters.redis.fleet import Presence, this_process
from app.adapters.redis.keys import Keyspace
from app.settings import Settings
from worker.pulse import Judge, PulseThread, Watch

_REDIS_SECONDS = 3.0


class SignsOfLife:
    """Of a worker's parent process; its children show none."""

    def __init__(self) -> None:
        self._shown = ExitStack()

    def begin(self, settings: Settings, name: str, queues: Sequence[str]) -> None:
        """`name`: Celery's of the node. `queues`: those that it takes from."""
        self._shown.enter_context(Presence(wiring.fleet(settings), this_process("worker")))
        if settings.pulse_dir is None:
            return
        redis, keys = connect(wiring.redis(settings, timeout_seconds=_REDIS_SECONDS)), Keyspace(settings.redis_prefix)
        # The hard limit is half a minute later than the soft one (celeryconfig.py), and ends the child at once.
        judge = Judge(stuck_seconds=settings.stuck_seconds, limit_seconds=settings.task_timeout_seconds + 60)
        pulse = PulseThread(settings.pulse_dir, name, judge, Watch(redis, [keys.queue(queue) for queue in queues]))
        pulse.start()
        self._shown.callback(redis.close)
        self._shown.callback(pulse.stop)

    def end(self) -> None:
        self._shown.close()
