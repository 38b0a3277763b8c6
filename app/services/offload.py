"""Synchronous calls (the object store's) off the event loop, a bounded number at once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """`await offload(store.put, key, body)`: waits in line when all threads are busy. Costs about 50 microseconds a call.

    A call that has begun is waited for even when it is cancelled: whoever hears of the cancellation may clean up behind it.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="offload")

    async def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        running = self._pool.submit(functools.partial(call, *args, **kwargs))
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.cancel():
                with suppress(Exception):
                    await asyncio.wrap_future(running)
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
