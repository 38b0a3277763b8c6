"""The whole deployment under test: two API processes, three workers, two reconcilers, a Redis that can die, and who of them can be hit."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from app.cli import processes, stack
from tests.chaos.storage import Storage
from tests.servers import Valkey
from tests.stack import ROOT, Stack

SECRET = "chaos" * 8
KEY = "hr_dev_chaos"


class Fleet(Stack):
    """`start` it; `name` of a process is that of stack.json."""

    command = ("tests.chaos.up", "tests.chaos.fragile", "--reconcilers", "2")

    def __init__(self, folder: Path, redis: Valkey, storage: Storage, *, web_port: int, terms: dict[str, str]) -> None:
        self.scratch = folder / "scratch"
        settings = {
            "redis_url": redis.url, "secret_keys": SECRET, "dev_key": KEY, "scratch_dir": str(self.scratch), "workers": "3", "api_processes": "2",
            "import_allow_nets": "127.0.0.0/8", "import_ports": str(web_port), **terms, **storage.settings,
        }  # fmt: skip
        super().__init__(folder / "data", **settings)

    def living(self, kind: str) -> dict[str, processes.Snapshot]:
        running = stack.read(self.folder)
        found = {name: each.look() for name, each in running.processes.items() if each.kind == kind} if running else {}
        return {name: seen for name, seen in found.items() if seen is not None}

    def victim(self, kind: str, chance: random.Random) -> tuple[str, int] | None:
        """Name and process id of one of them, or None while there is none. `child`: of a worker's pool."""
        living = self.living("worker" if kind == "child" else kind)
        if not living:
            return None
        name = chance.choice(sorted(living))
        if kind != "child":
            return name, living[name].pid
        # The pool's child is a copy of its parent; a helper that it started is not.
        own = living[name]
        pool = [each.pid for each in processes.descendants(own.pid) if each.parent == own.pid and each.command == own.command]
        return (f"child of {name}", pool[0]) if pool else None

    def sweep(self) -> str:
        """The daily sweep, of everything however young."""
        command = [sys.executable, "-m", "worker.reconcile", "--sweep", "--older-than-seconds", "0"]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def log_lines(self, word: str) -> list[str]:
        """What the processes wrote about it."""
        return [f"{file.name}: {line}" for file in sorted(self.folder.rglob("*.log")) for line in file.read_text(errors="replace").splitlines() if word in line]

    def left(self) -> list[str]:
        """Processes with this fleet's environment; after `stop` there is none."""
        mark = f"HEADRACE_DATA_DIR={self.folder}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes().decode(errors='replace')[:120]}")
            except OSError:
                continue
        return found
