"""kombu 5.7 can end a worker when the broker restarts; this keeps it alive. Imported by the Celery application, before anything connects.

When the connection is lost while messages are not yet acknowledged, kombu may take the connection away from a channel that still has
something to say: to put the messages back, or to acknowledge one whose task has just ended. The channel then asks None for its host
name. Celery knows what to do about a connection that is gone, and takes an AttributeError for the end of the worker. So it is told
the former. What is not put back or acknowledged comes again, by the lease or by the reconciler.

tests/celery/test_kombu_guard.py shows the exit without this, and that it is still needed.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

_channel: Any = kombu_redis.Channel
_connparams = _channel._connparams  # noqa: SLF001 - the one place that all ways to a new connection lead through


def _connparams_or_gone(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
    if self.connection is None or self.connection.client is None:
        raise RedisConnectionError("the channel's connection is gone")
    return _connparams(self, asynchronous=asynchronous)


_channel._connparams = _connparams_or_gone  # noqa: SLF001
