"""Celery 5.7 may overlook for five seconds that a child of its pool has died; this makes it look again. Imported by the Celery application.

The parent is woken by a pipe that closes when the child ends, and looks at once which child that was. But a process closes its files before it can be
waited for, and where another core is free the parent is faster: it finds nobody, and does not listen for that child any more. Until its next round the
worker holds the dead child's job, and takes no other. With few workers that is how long a source waits.

tests/celery/test_pool_guard.py shows it, and that it is still needed.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency import asynpool

AGAIN_SECONDS = 0.05

_pool: Any = asynpool.AsynPool
_event_process_exit = _pool._event_process_exit  # noqa: SLF001 - what the closing pipe calls


def _until_it_is_gone(self: Any, hub: Any, process: Any) -> None:
    _event_process_exit(self, hub, process)
    if process in self._pool:
        hub.call_later(AGAIN_SECONDS, _until_it_is_gone, self, hub, process)


_pool._event_process_exit = _until_it_is_gone  # noqa: SLF001
