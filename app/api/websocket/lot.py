"""Where sockets are parked: many descriptors in one epoll object, whose own descriptor is all that the loop watches. Linux only."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Sequence
from contextlib import suppress

from app.api.websocket.framed import Framed

CAN_PARK = hasattr(select, "epoll")
_EVENTS = 256
"""Sockets that are served before the loop has its turn."""
_READ_BYTES = 64 * 1024


class Lot:
    """The wire of every parked line; made in the loop that serves it, closed with `shut`."""

    def __init__(self, lines: Sequence[Framed | None]) -> None:
        """`lines`: by descriptor, as Lines keeps them."""
        self._lines = lines
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._serve)

    def shut(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def admit(self, line: Framed) -> None:
        """From now on the line, whose `fd` is ours and does not block, is parked. What came before is found at once."""
        line.wire = self
        try:
            self._epoll.register(line.fd, select.EPOLLIN)
        except OSError:  # the kernel watches no more than fs.epoll.max_user_watches
            self._give_up(line)

    # ------------------------------------------------------------------------------------------------ a line's wire

    def write(self, line: Framed, data: bytes | memoryview) -> int:
        try:
            written = os.write(line.fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.abort(line)
            return 0
        if written < len(data):
            self._epoll.modify(line.fd, select.EPOLLIN | select.EPOLLOUT)
        return written

    def finish(self, line: Framed) -> None:
        with suppress(OSError):
            borrowed = socket.socket(fileno=line.fd)
            try:
                borrowed.shutdown(socket.SHUT_WR)
            finally:
                borrowed.detach()

    def close(self, line: Framed) -> None:
        self.abort(line)  # the kernel sends what it has taken

    def abort(self, line: Framed) -> None:
        self._epoll.unregister(line.fd)
        self._give_up(line)

    @staticmethod
    def _give_up(line: Framed) -> None:
        line.lost()
        os.close(line.fd)

    def settle(self, line: Framed) -> None:
        """It is parked."""

    # ------------------------------------------------------------------------------------------------ what comes

    def _serve(self) -> None:
        for fd, events in self._epoll.poll(0, _EVENTS):
            line = self._lines[fd]
            if line is None or line.wire is not self:  # closed by what was served before it in this turn
                continue
            if events & select.EPOLLOUT:
                line.writable()
                if not line.is_behind and self._lines[fd] is line:
                    self._epoll.modify(fd, select.EPOLLIN)
            if events & ~select.EPOLLOUT and self._lines[fd] is line:
                self._read(line)

    def _read(self, line: Framed) -> None:
        try:
            data = os.read(line.fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            line.received(data)
        else:
            self.abort(line)
