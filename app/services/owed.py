"""What this process owes to Redis: what it answered with 200 while Redis was away, and now waits to be entered there.

A source is safe without this: it is in the inbox, and the reconciler finds it within its scan. This makes it start at once. A
channel is opened without it too, by the token that its client has, or by its first source; this brings what was asked of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice

from app.domain.errors import HeadraceError, Unavailable
from app.ports import AsyncLedger
from app.telemetry.metrics import OWED

log = logging.getLogger(__name__)

Pay = Callable[[], Awaitable[object]]

MOST = 2000
"""Some KB each. What comes beyond is left to the reconciler."""
_AT_ONCE = 16
_PAUSE_SECONDS = 0.25


class Owed:
    """Paid in about the order in which it came; `pause_seconds` between two looks whether Redis is back."""

    def __init__(self, ledger: AsyncLedger, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._ledger = ledger
        self._pause_seconds = pause_seconds
        self._owed: dict[tuple[str, ...], Pay] = {}
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, name: tuple[str, ...], pay: Pay) -> None:
        """`pay` is called until it does not raise Unavailable. Of the same name the latest counts."""
        if len(self._owed) >= MOST and name not in self._owed:
            return
        self._owed[name] = pay
        OWED.set(len(self._owed))
        self._some.set()

    async def run(self) -> None:
        """For as long as the process lives. Costs nothing while nothing is owed."""
        while True:
            await self._some.wait()
            await asyncio.sleep(self._pause_seconds)
            try:
                await self._ledger.ping()
                await self._pay_all()
            except Unavailable:
                continue

    async def _pay_all(self) -> None:
        """Raises Unavailable when something could not be paid."""
        while some := list(islice(self._owed.items(), _AT_ONCE)):
            for answer in await asyncio.gather(*(self._pay(*each) for each in some), return_exceptions=True):
                if isinstance(answer, BaseException):
                    raise answer
        self._some.clear()

    async def _pay(self, name: tuple[str, ...], pay: Pay) -> None:
        try:
            await pay()
        except Unavailable:
            raise
        except HeadraceError as error:  # the channel turned out to be another's, say
            log.info("what was promised while Redis was away is not due any more: %s", error.code)
        except Exception:
            log.exception("what was promised while Redis was away is left to the reconciler")
        if self._owed.get(name) is pay:
            del self._owed[name]
        OWED.set(len(self._owed))
