"""Runs a plan: starts its groups, tells when all is ready, keeps stack.json, stops everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from app.cli import processes, stack
from devstack.datadir import DataDir
from devstack.output import Echo, to_terminal
from devstack.parts import ROOT, Plan
from devstack.process import Child, Command
from devstack.warden import Warden

START_SECONDS = 90
# The API first, so that nothing new is accepted; Redis last, so that workers can put back what they are at.
STOP_ORDER = (("api",), ("worker", "reconciler", "flower"), ("redis",))


class Supervisor:
    def __init__(self, plan: Plan, data: DataDir, *, echo: Echo = to_terminal, start_seconds: float = START_SECONDS) -> None:
        self._plan = plan
        self._data = data
        self._start_seconds = start_seconds
        self._ready = False
        self._warden = Warden()

        def child(command: Command) -> Child:
            return Child(command, log=data.log(command.name), cwd=ROOT, echo=echo, warden=self._warden, changed=self._record)

        self._children = [[child(command) for command in group] for group in plan.groups]

    async def run(self, *, ready: asyncio.Event | None = None) -> None:
        """Until SIGINT, SIGTERM or SIGHUP; a second one kills at once. Raises StartFailed. Leaves no process, and the signals as they were."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def stop() -> None:
            if told.is_set():
                self._kill()
            told.set()

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for each in signals:
            loop.add_signal_handler(each, stop)
        starting = asyncio.create_task(self._start())
        waiting = asyncio.create_task(told.wait())
        try:
            await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                if ready is not None:
                    ready.set()
                await waiting
        finally:
            starting.cancel()
            waiting.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            await self._stop()
            self._warden.close()
            for each in signals:
                loop.remove_signal_handler(each)

    async def _start(self) -> None:
        for group in self._children:
            await asyncio.gather(*(child.start(timeout_seconds=self._start_seconds) for child in group))
        self._ready = True
        self._record()
        for line in (*self._plan.table, f"api key: {self._plan.api_key}", f"ready: {self._plan.base_url}"):
            print(line, flush=True)

    async def _stop(self) -> None:
        if self._plan.listening is not None:
            self._plan.listening.close()
        every = [child for group in self._children for child in group]
        for kinds in STOP_ORDER:
            await asyncio.gather(*(child.stop() for child in every if child.command.kind in kinds))
        stack.remove(self._data.path)

    def _kill(self) -> None:
        for group in self._children:
            for child in group:
                child.kill()

    def _record(self) -> None:
        running = {}
        for child in (child for group in self._children for child in group):
            if child.pid is not None and (seen := processes.look(child.pid)):
                running[child.command.name] = stack.Process(child.command.kind, child.pid, seen.started)
        plan = self._plan
        stack.write(self._data.path, stack.Stack(plan.base_url, plan.api_key, os.getpid(), self._ready, plan.flower_url, running))


def end_leftovers(data: DataDir) -> None:
    """Ends what a killed supervisor left, if its warden did not yet. Only what stack.json names, and only if it still is that process."""
    left = stack.read(data.path)
    if left is None:
        return
    deadline = time.monotonic() + 5
    for process in left.processes.values():
        if process.look():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    while any(process.look() for process in left.processes.values()) and time.monotonic() < deadline:
        time.sleep(0.02)
    stack.remove(data.path)
