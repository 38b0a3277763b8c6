"""A pool's child has closed its files and cannot be waited for yet when its parent looks. Only with our guard the parent looks again."""

from __future__ import annotations

from typing import Any

import pytest
from celery.concurrency.asynpool import AsynPool

from worker import pool_guard

CHILD = object()


# Those of the cluster, which this module does without.
@pytest.fixture(autouse=True)
def _whole() -> None:
    pass


class Pool:
    """Of one child, which it finds dead at the look after so many others."""

    def __init__(self, in_vain: int) -> None:
        self._pool = [CHILD]
        self._in_vain = in_vain
        self.looks = 0

    def _untrack_child_process(self, *_: object) -> None:
        pass

    def maintain_pool(self) -> None:
        self.looks += 1
        if self.looks > self._in_vain:
            self._pool.clear()


class Hub:
    def __init__(self) -> None:
        self.later: list[tuple[Any, ...]] = []

    def call_later(self, seconds: float, call: Any, *args: Any) -> None:
        assert seconds == pool_guard.AGAIN_SECONDS
        self.later.append((call, *args))


def told(on_exit: Any, in_vain: int) -> Pool:
    """The pool after its hub has done all that was put off."""
    pool, hub = Pool(in_vain), Hub()
    on_exit(pool, hub, CHILD)
    while hub.later:
        call, *args = hub.later.pop()
        call(*args)
    return pool


@pytest.mark.parametrize("in_vain", [0, 1, 5])
def test_the_pool_looks_until_the_child_is_gone(in_vain: int) -> None:
    pool = told(AsynPool._event_process_exit, in_vain)
    assert (pool._pool, pool.looks) == ([], in_vain + 1)


def test_celery_alone_looks_once() -> None:
    """When this fails, Celery has learned it, and the guard may go."""
    pool = told(pool_guard._event_process_exit, 1)
    assert (pool._pool, pool.looks) == ([CHILD], 1)
