"""What the pipeline asks of whoever reads documents, wherever that happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headrace_plugin import Limits, Thumbnail
from worker.chunks.cutting import Cut
from worker.isolation.answer import Answer


@dataclass(frozen=True, slots=True)
class Progress:
    """So much of one reading is done."""

    done: int
    total: int
    unit: str

    @property
    def percent(self) -> int:
        return max(0, min(100, self.done * 100 // self.total)) if self.total > 0 else 0


Alive = Callable[[Progress | None], None]
"""Called several times a second while a reading goes on, with what is new, or None. What it raises stops the reading and is raised."""


@dataclass(frozen=True, slots=True)
class Request:
    path: Path
    media_type: str
    folder: Path
    """For what is written; empty at first. Afterwards it is of this process, whatever became of the other."""
    filename: str = ""
    limits: Limits = field(default_factory=Limits)
    options: Mapping[str, Any] = field(default_factory=dict)


class Parser(Protocol):
    """Reads one file at a time for each thread that asks.

    Its readings raise ProcessingFailed for what is wrong with the file, or what it did to its process: `malformed`, `encrypted`, `bomb`,
    `timeout`, `resource_limit`, `crash`; and Unavailable when nothing can be read here at all.
    """

    def extract(self, request: Request, alive: Alive) -> Answer: ...

    def thumbnail(self, request: Request, alive: Alive, *, processor: str) -> Thumbnail | None:
        """By the processor that read the file; None when it draws nothing, or nothing of this one."""

    def chunk(self, request: Request, alive: Alive, cut: Cut) -> int:
        """`chunks.jsonl` beside the text that `extract` left in the folder, and how many chunks there are."""

    def warm(self) -> None:
        """Begin with what the first reading would wait for; returns at once."""

    def close(self) -> None: ...
