"""Which pages of other origins may call us: CORS for HTTP, and the same list for WebSockets, which no CORS guards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"


@dataclass(frozen=True, slots=True)
class Origins:
    """`allowed` as in HEADRACE_CORS_ORIGINS: origins, `localhost` for any on a localhost name, `*` for every one."""

    allowed: Sequence[str] = ()

    def allow(self, given: Sequence[str], own: str) -> bool:
        """Whether a handshake with these Origin headers may go on. None: it is no browser. `own`: our own pages may."""
        return all(self._allows(origin, own) for origin in given)

    def _allows(self, origin: str, own: str) -> bool:
        if origin == own or origin in self.allowed or "*" in self.allowed:
            return True
        return "localhost" in self.allowed and re.fullmatch(LOCALHOST, origin) is not None
