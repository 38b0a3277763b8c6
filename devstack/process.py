"""One child process of the stack: started in its own session, watched until it is ready, restarted when it exits, stopped whole."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devstack.output import Echo, Output
from devstack.warden import Warden

Probe = Callable[[], Awaitable[bool]]

_PR_SET_PDEATHSIG: Final = 1
_HEALTHY_SECONDS: Final = 30
_LONGEST_PAUSE_SECONDS: Final = 15


class StartFailed(Exception):
    """A child ended, or stayed silent, before it was ready. The text says which, and the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how to tell that it works: by a line that it writes, or by asking it (each 50 ms); with neither, by being there."""

    name: str
    kind: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    ready_line: str | None = None
    probe: Probe | None = None
    fds: tuple[int, ...] = ()
    stop_seconds: float = 5
    """From SIGTERM to SIGKILL."""
    pause_seconds: float = 0.25
    """Before the first restart; doubled each time until it has run for 30 s."""
    quiet: bool = False
    """Nothing of it goes to the terminal."""
    nice: int = 0
    """How much it steps back for others when the processors are busy (0 to 19)."""


class Child:
    """Keeps one command running from `start` to `stop`. `changed` is called whenever there is a new process."""

    def __init__(self, command: Command, *, log: Path, cwd: Path, echo: Echo, warden: Warden, changed: Callable[[], None] = lambda: None) -> None:
        self.command = command
        self.pid: int | None = None
        self.restarts = 0
        self._cwd = cwd
        self._echo = echo
        self._warden = warden
        self._changed = changed
        self._output = Output(command.name, log, echo, quiet=command.quiet)
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self, *, timeout_seconds: float) -> None:
        """Returns when it is ready. Raises StartFailed."""
        self._keeper = asyncio.create_task(self._keep())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._keeper, ready}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._keeper.done():
            self._keeper.result()
        elif not self._ready.is_set():
            raise StartFailed(self._failure(f"not ready after {timeout_seconds:g} s"))

    async def stop(self) -> None:
        """SIGTERM to the process, SIGKILL to its whole group when it has gone or its time is over; returns when nothing of it is left."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            # Not to the group: a worker's children finish under their parent's hand.
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.command.stop_seconds)
        self.kill()
        if self._keeper is not None:
            with contextlib.suppress(StartFailed):
                await self._keeper
        self._output.close()

    def kill(self) -> None:
        """SIGKILL to the group, now."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            _kill_group(self._process.pid)

    async def _keep(self) -> None:
        pause = self.command.pause_seconds
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                ended = _ended(await self._life())
            except OSError as error:
                ended = f"did not start: {error}"
            if self._stopping.is_set():
                return
            if not self._ready.is_set():
                raise StartFailed(self._failure(ended))
            if asyncio.get_running_loop().time() - began > _HEALTHY_SECONDS:
                pause = self.command.pause_seconds
            self._echo(self.command.name, f"{ended}; starts again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self.restarts += 1

    async def _life(self) -> int:
        """One process, from its start until nothing of its group is left; answers its return code. Raises OSError when it cannot be started."""
        # Our own pipe and not asyncio's: a grandchild that holds it open must not make the child look alive.
        reading, writing = os.pipe()
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self.command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                cwd=self._cwd,
                env=dict(self.command.environ),
                pass_fds=self.command.fds,
                start_new_session=True,
                preexec_fn=_before_exec(self.command.nice),
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.pid = process.pid
        self._warden.hold(process.pid)
        self._changed()
        if self._stopping.is_set():  # it was told to stop while it was being started
            _kill_group(process.pid)
        pump = asyncio.create_task(self._pump(reading))
        asking = asyncio.create_task(self._ask())
        try:
            return await process.wait()
        finally:
            _kill_group(process.pid)
            self.pid = None
            asking.cancel()
            # What is left in the pipe is read; a process that fled the group and holds it is not waited for.
            await asyncio.wait({pump}, timeout=1)
            pump.cancel()
            await asyncio.gather(pump, asking, return_exceptions=True)
            self._output.end()

    async def _pump(self, reading: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", 0))
        try:
            while chunk := await stream.read(64 * 1024):
                if self._output.feed(chunk, self.command.ready_line):
                    self._is_ready()
        finally:
            transport.close()

    async def _ask(self) -> None:
        if self.command.probe is None:
            if self.command.ready_line is None:
                self._is_ready()
            return
        while not await self.command.probe():  # noqa: ASYNC110 - what happens in another process sets no Event here
            await asyncio.sleep(0.05)
        self._is_ready()

    def _is_ready(self) -> None:
        if self.restarts and not self._stopping.is_set():
            self._echo(self.command.name, f"is back (restart {self.restarts})")
        self._ready.set()
        self._output.release()

    def _failure(self, what: str) -> str:
        return "\n".join([f"{self.command.name}: {what}", *(f"    {line}" for line in self._output.tail)])


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _kill_group(pid: int) -> None:
    # PermissionError: macOS says so of a group of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _before_exec(nice: int) -> Callable[[], None]:
    """Run in the child, between fork and exec: it steps back if it is told to, and on Linux it dies with its parent.

    The warden ends the rest of its group, and all of it on other systems; the kernel does not wait until the warden knows of it.
    Children must be started by the main thread, since the kernel means the thread that forked.
    """
    linux = sys.platform == "linux"
    libc, parent = ctypes.CDLL(None) if linux else None, os.getpid()

    def prepare() -> None:
        if nice:
            os.nice(nice)
        if libc is None:
            return
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare
