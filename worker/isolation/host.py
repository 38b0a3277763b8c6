"""The parser host: `python -m worker.isolation.host [file of named processors]`, one beside each process that reads.

With `--embedder NAME` it is the host of that embedder, and reads nothing. Started by worker/isolation/hosts.py. It imports all processors, or
the embedder, and calls none (what works before a fork may hang after it), has one thread and no connection to anything but its parent,
over the socket that is its standard input. For each reading it forks; the child answers over a pipe that came with the request.

    parent → host    a byte: `r` with the pipe, then a length and the request as JSON; `k`: kill what runs
    host → parent    lines of JSON: {"ready": …}, {"pid": …}, and when the child is gone {"status": …, "peak_bytes": …}
    child → parent   lines of JSON: {"progress": …}, and last {"answer": …}, {"thumbnail": …}, {"chunks": …}, {"embedded": …}
                     or {"failed": …}

It ends when its parent does: the socket says so.
"""

from __future__ import annotations

import errno
import gc
import json
import logging as stdlib_logging
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from headrace_plugin import Embedder, Failed, Limits
from worker.chunks import embedders, embedding
from worker.chunks.cutting import CUT
from worker.isolation import reading, sandbox, seccomp
from worker.isolation.answer import ANSWER
from worker.isolation.parser import Request
from worker.processors import named, registry
from worker.processors.base import Processor
from worker.processors.endpoint import Away

log = stdlib_logging.getLogger(__name__)

_OUT: Final = 3
"""Where the child writes its lines."""
_TOLD_SECONDS: Final = 0.25
_KIBIBYTES: Final = 1024 if sys.platform == "linux" else 1
"""What ru_maxrss counts in."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the host has imported, for its children."""

    processors: registry.Registry = field(default_factory=lambda: registry.Registry(()))
    embedder: Embedder | None = None


class Host:
    def __init__(self, control: socket.socket, has: Loaded) -> None:
        self._control = control
        self._has = has
        # A child's end becomes readable here.
        self._ended, ended = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(ended, False)
        signal.set_wakeup_fd(ended, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the parent is gone."""
        self._tell({"ready": True, "processors": [each.name for each in self._has.processors.processors]})
        while True:
            byte, pipes, _, _ = socket.recv_fds(self._control, 1, 1)
            if not byte:
                return
            if byte == b"r":
                size = int.from_bytes(self._exactly(4), "big")
                if not self._read(json.loads(self._exactly(size)), pipes[0]):
                    return

    def _exactly(self, size: int) -> bytes:
        """Raises EOFError when the parent is gone."""
        got = b""
        while len(got) < size:
            more = self._control.recv(size - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def _read(self, asked: dict[str, Any], pipe: int) -> bool:
        """One reading. False when the parent is gone."""
        pid = os.fork()
        if pid == 0:
            _child(self._has, asked, pipe)
        os.close(pipe)
        self._tell({"pid": pid})
        stays = self._wait(pid)
        status, used = _reap(pid)
        if stays:
            self._tell({"status": status, "peak_bytes": used.ru_maxrss * _KIBIBYTES})
        return stays

    def _wait(self, pid: int) -> bool:
        """Until the child has ended, or is killed. False when the parent is gone."""
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._ended], [], [])
            if self._ended in ready:
                with suppress(BlockingIOError):
                    os.read(self._ended, 512)
                if _has_ended(pid):
                    return True
            if self._control.fileno() in ready:
                byte = self._control.recv(1)
                _kill(pid)
                return bool(byte)

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # a parent that is gone is seen at the next look
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _has_ended(pid: int) -> bool:
    """Whether it is a zombie now. It stays one, so that its id and its group's are nobody else's yet."""
    # macOS has no such look before Python 3.13: there `_reap` waits for it.
    return not hasattr(os, "waitid") or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _reap(pid: int) -> tuple[int, Any]:
    """Its end, after whatever it started was killed with it."""
    _kill(pid)
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), used


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        return
    with suppress(ProcessLookupError):  # it had no time to make its group
        os.kill(pid, signal.SIGKILL)


def _child(has: Loaded, asked: dict[str, Any], pipe: int) -> NoReturn:
    """All of the child's life."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        out = os.dup(pipe)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        os.dup2(out, _OUT, inheritable=False)
        os.closerange(_OUT + 1, 256)
        request = Request(**asked["request"] | {name: Path(asked["request"][name]) for name in ("path", "folder")} | {"limits": Limits(**asked["limits"])})
        processor = reading.processor(has.processors, request, asked["turn"]) if asked["what"] == "extract" else None
        sandbox.confine(request.limits, request.folder, network=getattr(processor, "needs_network", False))
        gc.enable()
        _write(_answer(has, processor, asked, request))
    except BaseException:  # noqa: BLE001 - nothing of it may reach the host's own loop
        os._exit(1)
    os._exit(0)


def _answer(has: Loaded, processor: Processor | None, asked: dict[str, Any], request: Request) -> dict[str, Any]:
    try:
        return _done(has, processor, asked, request)
    except Away as error:
        return {"failed": {"code": "processor_unavailable", "detail": str(error)}}
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return {"failed": {"code": "scratch_full", "detail": str(error)}}
        failed = Failed("resource_limit", str(error)) if error.errno in {errno.EFBIG, errno.ENOMEM, errno.EMFILE} else reading.failure(error)
    except BaseException as error:  # noqa: BLE001 - whatever a processor does, SystemExit too
        failed = reading.failure(error)
    return {"failed": {"code": failed.code, "detail": failed.detail[:1000]}}


def _done(has: Loaded, processor: Processor | None, asked: dict[str, Any], request: Request) -> dict[str, Any]:
    tell = _teller()
    match asked["what"]:
        case "extract":
            found = reading.extract(processor, request, tell)
            return {"answer": found and ANSWER.dump_python(found, mode="json")}
        case "thumbnail":
            drawn = reading.thumbnail(has.processors, request, tell, processor=asked["processor"])
            return {"thumbnail": drawn and {"width": drawn.width, "height": drawn.height}}
        case "chunk":
            return {"chunks": reading.chunk(request, CUT.validate_python(asked["cut"]), tell)}
        case "embed" if has.embedder is not None:
            return {"embedded": asdict(embedding.write(has.embedder, request.folder, asked["count"], tell))}
        case what:
            raise ValueError(what)


def _teller() -> reading.Tell:
    told_at = 0.0

    def tell(message: dict[str, Any]) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _TOLD_SECONDS:
            told_at = now
            _write(message)

    return tell


def _write(message: dict[str, Any]) -> None:
    line = memoryview(json.dumps(message).encode() + b"\n")
    while line:
        line = line[os.write(_OUT, line) :]


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they reach whole groups; what runs is stopped by the parent
    stdlib_logging.basicConfig(level="WARNING", format="parser host: %(message)s")
    control = socket.socket(fileno=os.dup(0))
    arguments = sys.argv[1:]
    if arguments[:1] == ["--embedder"]:
        has = Loaded(embedder=embedders.load(arguments[1]))
    else:
        has = Loaded(registry.load(named.read(Path(arguments[0])) if arguments else ()))
    if not seccomp.works():
        log.warning("this system does not keep readings from the network")
    gc.collect()
    gc.freeze()  # what the children share stays shared
    gc.disable()
    with suppress(EOFError, ConnectionError):  # the parent is gone; a reset says that it left something unread
        Host(control, has).serve()


if __name__ == "__main__":
    main()
