"""Ports of 127.0.0.1 for servers that bind their port themselves, some time after it was chosen.

A port that was bound to 0 and let go may be anybody's a moment later: another test's server, or a connection that goes out. So each
process of a test run has a block of its own, below the range that systems hand out from, and nobody else's while it holds the
block's first port.
"""

from __future__ import annotations

import random
import socket
from functools import cache

_FIRST, _LAST, _BLOCK = 20_000, 32_700, 100


class Block:
    """The ports of one holder. They are handed out in turn, so that one which was used is not met again soon."""

    def __init__(self) -> None:
        starts = list(range(_FIRST, _LAST, _BLOCK))
        random.SystemRandom().shuffle(starts)
        for start in starts:
            if (held := _bind(start)) is not None:
                self._held = held
                self._ports = range(start + 1, start + _BLOCK)
                self._given = 0
                return
        raise RuntimeError("no block of ports is free")

    def free_port(self) -> int:
        """One that nobody has bound. Raises RuntimeError when the whole block is taken."""
        for _ in self._ports:
            port = self._ports[self._given % len(self._ports)]
            self._given += 1
            if (free := _bind(port)) is not None:
                free.close()
                return port
        raise RuntimeError("every port of the block is taken")

    def close(self) -> None:
        self._held.close()


@cache
def _own() -> Block:
    return Block()


def free_port() -> int:
    """A port for a server that this process starts; see `Block.free_port`."""
    return _own().free_port()


def _bind(port: int) -> socket.socket | None:
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        return None
    return bound
