"""Host processes as whoever asks them sees them: starts them, asks them, watches over what they fork."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from app.domain.errors import FAILURES, ProcessingFailed, Unavailable
from worker.isolation import sandbox
from worker.isolation.ending import Ending
from worker.isolation.lines import Lines, wait_for
from worker.isolation.parser import Alive, Request

log = logging.getLogger(__name__)

_ROOT: Final = Path(__file__).resolve().parents[2]
_LOOK_SECONDS: Final = 0.2
"""How often `alive` is asked while nothing is told."""
_START_SECONDS: Final = 60
_LAST_SECONDS: Final = 2
"""How long a child may take to end after its last word."""
_KILL_SECONDS: Final = 10
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""A reading keeps what it frees, for what it needs next: it ends soon. By itself glibc gives back 128 KiB and more at each page of a PDF, and the
kernel fills them with zeros again, which took a third of the time of a reading."""


class Hosts:
    """One host for each thread that asks at the same time; started when it is asked, or by `warm`."""

    def __init__(self, *arguments: str) -> None:
        """Those of `worker.isolation.host`."""
        self._arguments = list(arguments)
        self._idle: list[_Host] = []
        self._lock = threading.Lock()

    def warm(self) -> None:
        self._give(_Host(self._arguments))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def ask(self, request: Request, alive: Alive, what: dict[str, Any]) -> dict[str, Any]:
        host = self._take()
        try:
            said, ending = host.read(request, alive, what)
        except BaseException:
            if host.is_well:
                self._give(host)
            else:
                host.close()
            raise
        self._give(host)
        if (failed := said.get("failed")) is not None:
            raise _said(failed)
        if not said:
            raise ProcessingFailed(*ending.verdict(request.limits))
        return said

    def _take(self) -> _Host:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Host(self._arguments)

    def _give(self, host: _Host) -> None:
        with self._lock:
            self._idle.append(host)


def _said(failed: Any) -> Exception:
    """What the child says of itself, as far as it can be believed."""
    code, detail = (str(failed.get("code")), str(failed.get("detail", ""))) if isinstance(failed, dict) else ("crash", "")
    if code == "scratch_full":
        return Unavailable("scratch_full", "no space left for what is read out of the document")
    if code == "processor_unavailable":
        return Unavailable("processor_unavailable", detail)
    return ProcessingFailed(code if code in FAILURES else "crash", detail)


def expect_plain(path: Path) -> None:
    """A child that was taken over may leave links to files that are not its own."""
    try:
        found = path.lstat()
    except OSError as error:
        raise ProcessingFailed("crash", f"{path.name} is not there") from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise ProcessingFailed("crash", f"{path.name} is no plain file")


class _Gone(Exception):
    """The host has ended."""


class _Host:
    """One host process, for one reading at a time."""

    def __init__(self, arguments: list[str]) -> None:
        ours, theirs = socket.socketpair()
        # All that it needs to find the code; what this process knows beside it, keys above all, stays here.
        environ = sandbox.environment("/") | _MALLOC | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *(path for path in sys.path if path)])}
        with theirs:
            command = [sys.executable, "-m", "worker.isolation.host", *arguments]
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environ, cwd=_ROOT, start_new_session=True
            )  # fmt: skip
        self.close = weakref.finalize(self, _end, process, ours)
        """Once; also when nobody has this host any longer."""
        self.pid = process.pid
        self._control = ours
        self._said = b""
        self._is_ready = False
        self.is_well = True
        """Nothing runs in it, and it waits for a request."""

    def read(self, request: Request, alive: Alive, what: dict[str, Any]) -> tuple[dict[str, Any], Ending]:
        """The last thing that the child said (empty: nothing), and how it ended. What `alive` raises stops it."""
        try:
            if not self._is_ready:
                self._line(_START_SECONDS, alive)
                self._is_ready = True
            self.is_well = False  # whatever is raised from here on, at whatever line
            out = self._send(request, what)
            try:
                return self._watch(out, request, alive)
            finally:
                os.close(out)
        except (_Gone, OSError) as error:
            self.is_well = False
            log.warning("the parser host is gone")
            raise Unavailable("parser_unavailable", "the parser host is gone") from error

    def _send(self, request: Request, what: dict[str, Any]) -> int:
        """The descriptor that the child's lines come from."""
        asked = asdict(request) | {"path": str(request.path), "folder": str(request.folder)}
        line = json.dumps({**what, "limits": asked.pop("limits"), "request": asked}).encode()
        out, pipe = os.pipe()
        try:
            socket.send_fds(self._control, [b"r"], [pipe])
            self._control.sendall(len(line).to_bytes(4, "big") + line)
        except BaseException:
            os.close(out)
            raise
        finally:
            os.close(pipe)
        return out

    def _watch(self, out: int, request: Request, alive: Alive) -> tuple[dict[str, Any], Ending]:
        until = time.monotonic() + request.limits.wall_seconds
        lines = Lines(out)
        try:
            while not lines.has_ended:
                left = until - time.monotonic()
                if left <= 0:
                    raise ProcessingFailed("timeout", f"still reading after {request.limits.wall_seconds:g} s")  # noqa: TRY301 - killed below, as for the rest
                wait_for(out, min(left, _LOOK_SECONDS))
                alive(lines.take())
        except BaseException:
            with suppress(_Gone, OSError):
                self._kill()
            raise
        try:
            return lines.last, self._ending(_LAST_SECONDS)
        except _Gone:  # it has said all and does not go
            return lines.last, self._kill()

    def _kill(self) -> Ending:
        self._control.sendall(b"k")
        return self._ending(_KILL_SECONDS)

    def _ending(self, seconds: float) -> Ending:
        said = self._line(seconds)
        while "status" not in said:  # first comes the id of the process
            said = self._line(seconds)
        self.is_well = True
        return Ending(int(said["status"]), int(said["peak_bytes"]))

    def _line(self, seconds: float, alive: Alive | None = None) -> dict[str, Any]:
        """The host's next line. Raises _Gone when it does not come."""
        until = time.monotonic() + seconds
        while b"\n" not in self._said:
            left = until - time.monotonic()
            if left <= 0:
                raise _Gone
            if wait_for(self._control.fileno(), min(left, _LOOK_SECONDS)):
                more = self._control.recv(4096)
                if not more:
                    raise _Gone
                self._said += more
            elif alive is not None:
                alive(None)
        line, _, self._said = self._said.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """A host ends when its socket does, with all that it forked."""
    control.close()
    try:
        process.wait(_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
