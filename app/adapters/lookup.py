"""Names to addresses, inside a time. Whatever this answers is checked afterwards: it grants nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ssrfguard import Resolver
from ssrfguard.resolvers import UdpResolver

Rows: TypeAlias = Iterable[tuple[int, int, int, str, tuple[Any, ...]]]
"""As getaddrinfo answers."""


class Lookup:
    """Asks `nameserver` (`address:port`), or the system with its hosts file. Raises ValueError when it is neither."""

    def __init__(self, nameserver: str | None) -> None:
        self._nameserver: tuple[str, int] | None = None
        if nameserver is not None:
            parts = urlsplit(f"//{nameserver}")
            self._nameserver = parts.hostname or "", parts.port or 53
            self._ask_nameserver(self._nameserver, 1)  # refuses a name, which nobody could resolve

    def within(self, seconds: Callable[[], float]) -> Resolver:
        """In the shape of getaddrinfo. `seconds` is asked for each lookup how long it may take; raises OSError."""

        def lookup(host: str, port: int, family: int, kind: int, protocol: int, flags: int) -> Rows:
            if self._nameserver is None:
                return _ask_system((host, port, family, kind, protocol, flags), seconds())
            return self._ask_nameserver(self._nameserver, seconds())(host, port, family, kind, protocol, flags)

        return lookup

    @staticmethod
    def _ask_nameserver(nameserver: tuple[str, int], seconds: float) -> UdpResolver:
        return UdpResolver(nameservers=nameserver[:1], nameserver_port=nameserver[1], timeout=seconds)


def _ask_system(query: tuple[str, int, int, int, int, int], seconds: float) -> Rows:
    # getaddrinfo takes no timeout: a thread waits for it, and when nobody waits for the thread any more it ends by the system's own patience.
    answer: Future[Rows] = Future()

    def ask() -> None:
        try:
            answer.set_result(socket.getaddrinfo(*query))
        except OSError as error:
            answer.set_exception(error)
        except ValueError as error:  # text that is no name at all
            answer.set_exception(socket.gaierror(socket.EAI_NONAME, str(error)))

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    return answer.result(timeout=seconds)
