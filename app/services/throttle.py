"""The throttle of wrong credentials: who guesses is told to wait; nobody is locked out by another's guesses.

A right key is always served, from whatever address: only wrong ones are counted, by the client's address, in this process. So a guess costs us
a lookup and no request to anybody else, and a fleet of n processes allows n times as many.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from app.domain.errors import TooManyGuesses

_MOST_ADDRESSES = 10_000
"""Kept at once, those that guessed last: about 2 MB. More attackers than that are beyond a throttle by address."""
_SECONDS = 60.0


class Throttle:
    """`per_minute` wrong credentials are answered with what they are; further ones with TooManyGuesses until the minute is over."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._guesses: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Address -> end of its minute, and how many it tried in it."""

    def count(self, address: str | None) -> None:
        """One more wrong credential. Raises TooManyGuesses when there were too many from there; `address` None: nobody knows, all count as one."""
        place, now = _place(address), self._clock()
        until, guesses = self._guesses.pop(place, (0.0, 0))
        if until <= now:
            until, guesses = now + _SECONDS, 0
        self._guesses[place] = (until, guesses + 1)
        if len(self._guesses) > _MOST_ADDRESSES:
            self._guesses.popitem(last=False)
        if guesses >= self._per_minute:
            raise TooManyGuesses(detail="too many wrong credentials came from this address", retry_after_seconds=int(until - now) + 1)


def _place(address: str | None) -> str:
    """An IPv6 client has a whole /64 to guess from."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
