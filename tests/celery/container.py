"""What pytest-celery's nodes ask of a container, given by a process group of this machine: no engine is needed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, Signals

from devstack.process import Command
from tests.client import eventually
from tests.servers import start
from tests.stack import ROOT

READY_SECONDS = 60


class ProcessContainer:
    """A command of the embedded stack, as a container. Started when it is made; `url` is where a broker listens."""

    def __init__(self, command: Command, folder: Path, *, url: str = "") -> None:
        self.name = command.name
        self.celeryconfig = {"url": url, "host_url": url}
        self._command = command
        self._log = folder / f"{command.name}.log"
        self._log.touch()
        self.start()

    def start(self) -> None:
        self._started_at = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = start(
                self._command.argv, cwd=ROOT, env=dict(self._command.environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def id(self) -> str:
        return str(self._process.pid)

    @property
    def status(self) -> str:
        return "running" if self._process.poll() is None else "exited"

    def logs(self) -> str:
        return self._log.read_text(errors="replace")

    def ready(self) -> bool:
        return bool(eventually(self._is_ready, seconds=READY_SECONDS))

    def _is_ready(self) -> bool:
        assert self.status == "running", f"{self.name} ended:\n{self.logs()[-4000:]}"
        if self._command.probe is not None:
            return asyncio.run(self._command.probe())
        return self._command.ready_line.encode() in self._log.read_bytes()[self._started_at :]

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """As an engine does it: the signal goes to the first process, and all of them die with it."""
        number = Signals[signal] if isinstance(signal, str) else Signals(signal)
        with suppress(ProcessLookupError, PermissionError):  # nothing of it is left; macOS says it the second way
            if number is SIGKILL:
                os.killpg(self._process.pid, number)
                self.wait()
            else:
                os.kill(self._process.pid, number)

    def wait(self, seconds: float = 30) -> int:
        return self._process.wait(seconds)

    def restart(self, timeout: float = 30) -> None:
        """SIGTERM, SIGKILL to what is left after `timeout` seconds, and a new start of the same command; returns when it is ready."""
        if self.status == "running":
            self.kill("SIGTERM")
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout)
        self.kill()
        self.start()
        self.ready()

    def reload(self) -> None:
        """Nothing of the process is remembered here."""

    def teardown(self) -> None:
        self.kill()
