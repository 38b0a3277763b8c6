"""Line: one client's socket, whichever tier it is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.services.outlet import Outlet


class Line(Outlet, Protocol):
    on_gone: Callable[[], None] | None
    """Called once, in a turn of the loop of its own, when the client has gone or was cut off; also when that was before `settle`."""
    on_message: Callable[[str | bytes], None] | None
    """None, as in production: what a client sends is dropped. 64 KiB at most, or it ends the socket."""

    @property
    def is_open(self) -> bool:
        """Neither side has begun to close, and it is not gone."""

    async def settle(self) -> None:
        """All is set up. Parks it where that is possible and returns; on the plain tier returns when the client has gone."""

    def cut(self) -> None:
        """Now, whatever waits."""
