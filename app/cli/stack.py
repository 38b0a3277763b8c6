"""stack.json: what runs in a data folder. The embedded stack writes it (devstack/), the command line client reads it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.cli import processes

FILE = "stack.json"
ENVIRONMENT = "environment.json"
"""What its processes are started with; it holds secrets."""


@dataclass(frozen=True, slots=True)
class Process:
    kind: str
    """redis, api, worker, reconciler or flower"""
    pid: int
    started: str
    """See processes.Snapshot."""

    def look(self) -> processes.Snapshot | None:
        """The process, if it still is the one that was recorded."""
        now = processes.look(self.pid)
        return now if now and now.started == self.started else None


@dataclass(frozen=True, slots=True)
class Stack:
    base_url: str
    api_key: str
    pid: int
    """The supervisor's."""
    ready: bool = False
    flower_url: str = ""
    processes: dict[str, Process] = field(default_factory=dict)
    """By name: api1, worker1, …"""


def write(folder: Path, stack: Stack) -> None:
    """Put the file in place as a whole, readable by its owner only (it holds the key)."""
    draft = folder / f".{FILE}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(stack), file, indent=1)
    draft.replace(folder / FILE)


def read(folder: Path) -> Stack | None:
    """None when no stack runs there, or the file is not ours."""
    try:
        stored = json.loads((folder / FILE).read_text())
        found = {name: Process(**each) for name, each in stored.pop("processes").items()}
        return Stack(**stored, processes=found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
