"""Messages that nobody of ours sent: refused, said in the log, and counted; the worker's pulse shows how many.

Celery refuses by itself what is not JSON by its content type or by its bytes, and what names an unknown task. What is no message at all
it does not survive: kombu takes it apart before anybody looks, and each such string in a queue would end one worker. So it is refused here.
What names our task and asks for nothing sensible fails in the child (tasks.py); it is in the log, and in Flower, as a failed task.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import task_rejected, task_unknown
from kombu.transport import redis as kombu_redis

log = logging.getLogger(__name__)

_channel: Any = kombu_redis.Channel
_transport: Any = kombu_redis.Transport
# The one place where a message is read, and the one where it is taken apart; no connection is asked in the second.
_brpop_read, _deliver = _channel._brpop_read, _transport._deliver  # noqa: SLF001
_total = 0


def count() -> int:
    """Since this process started."""
    return _total


def _refuse(why: object) -> None:
    global _total  # noqa: PLW0603 - one number for each process, written by its consumer alone
    _total += 1
    log.warning("refused a message that is none of ours (%d so far): %.200s", _total, why)


def _read_or_refuse(self: Any, **options: Any) -> Any:
    try:
        return _brpop_read(self, **options)
    except ValueError as error:
        _refuse(f"no JSON: {error}")
        return True


def _deliver_or_refuse(self: Any, message: Any, queue: str) -> None:
    try:
        _deliver(self, message, queue)
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # what the sender left out, or made of another type
        _refuse(repr(error))
        _let_go(self, message)


def _let_go(transport: Any, message: Any) -> None:
    """It may count as being worked on already, and would keep its place for ever. Should it be one of ours after all: what is due comes again."""
    try:
        tag = message["properties"]["delivery_tag"]
    except (TypeError, LookupError):
        return
    for channel in transport.channels:
        if tag in channel.qos._delivered:  # noqa: SLF001 - kombu has no public word for it
            channel.basic_reject(tag, requeue=False)


@task_rejected.connect
def _rejected(exc: object = None, **_: object) -> None:
    _refuse(exc or "it names no task")


@task_unknown.connect
def _unknown(name: object = None, **_: object) -> None:
    _refuse(f"unknown task {name!r}")


_channel._brpop_read, _transport._deliver = _read_or_refuse, _deliver_or_refuse  # noqa: SLF001
