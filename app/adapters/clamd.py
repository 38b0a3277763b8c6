"""Virus scanning by clamd, over its own protocol (`INSTREAM`): the bytes go to it, so it needs no access to any file. See clamd(8)."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.domain.errors import ProcessingFailed, Unavailable

_CHUNK_BYTES: Final = 256 * 1024
_CONNECT_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.2
_ANSWER_BYTES: Final = 4096
# What clamd calls a file that it gave up on, where it says so at all (`AlertExceedsMax yes`).
_GIVEN_UP: Final = "Heuristics.Limits.Exceeded"
_TOO_LONG: Final = "size limit exceeded"


class Clamd:
    """A Scanner. One connection for each scan."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        """`tcp://host:3310` or `unix:///run/clamav/clamd.ctl`; raises ValueError. The timeout is that of one whole scan."""
        to = urlsplit(url)
        if to.scheme == "tcp" and to.hostname:
            self._address: tuple[str, int] | str = (to.hostname, to.port or 3310)
        elif to.scheme == "unix" and to.path and not to.netloc:
            self._address = to.path
        else:
            raise ValueError(f"{url!r} is neither tcp://host:port nor unix:///path")
        self._timeout_seconds = timeout_seconds

    def scan(self, path: Path, alive: Callable[[int], None]) -> str | None:
        until = time.monotonic() + self._timeout_seconds
        try:
            with self._connect() as clamd:
                _send(clamd, path, alive)
                said = _answer(clamd, until, alive, path.stat().st_size)
        except OSError as error:
            raise Unavailable("scanner_unavailable", f"clamd: {type(error).__name__}: {error}") from error
        return _understood(said)

    def _connect(self) -> socket.socket:
        if isinstance(self._address, tuple):
            return socket.create_connection(self._address, timeout=_CONNECT_SECONDS)
        clamd = socket.socket(socket.AF_UNIX)
        try:
            clamd.settimeout(_CONNECT_SECONDS)
            clamd.connect(self._address)
        except BaseException:
            clamd.close()
            raise
        return clamd


def _send(clamd: socket.socket, path: Path, alive: Callable[[int], None]) -> None:
    """The whole file; less when clamd answers before: it has seen enough, or too much."""
    clamd.settimeout(30)  # for one piece of it
    clamd.sendall(b"zINSTREAM\0")
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if select.select([clamd.fileno()], [], [], 0)[0]:
                return
            try:
                clamd.sendall(struct.pack(">I", len(chunk)) + chunk)
            except (BrokenPipeError, ConnectionResetError):
                return  # its answer says why
            done += len(chunk)
            alive(done)
    clamd.sendall(struct.pack(">I", 0))


def _answer(clamd: socket.socket, until: float, alive: Callable[[int], None], size: int) -> str:
    said = b""
    while not said.endswith(b"\0"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no verdict in time")
        if select.select([clamd.fileno()], [], [], min(left, _LOOK_SECONDS))[0]:
            more = clamd.recv(_ANSWER_BYTES)
            if not more or len(said) > _ANSWER_BYTES:
                raise ConnectionError(f"no verdict: {said[:100]!r}")
            said += more
        else:
            alive(size)
    return said.rstrip(b"\0").decode(errors="replace")


def _understood(said: str) -> str | None:
    verdict = said.removeprefix("stream:").strip()
    if verdict == "OK":
        return None
    if verdict.endswith(" FOUND"):
        name = verdict.removesuffix(" FOUND")
        if name.startswith(_GIVEN_UP):
            raise ProcessingFailed("bomb", f"clamd: {name}")
        return name
    if _TOO_LONG in verdict:
        raise ProcessingFailed("unscanned", f"clamd: {verdict} Its StreamMaxLength has to be HEADRACE_MAX_UPLOAD_BYTES at least.")
    raise Unavailable("scanner_unavailable", f"clamd: {verdict}")
