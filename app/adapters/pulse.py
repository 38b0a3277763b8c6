"""A worker's pulse, as a file: what it is at, written every few seconds, and its age, which is the time since the worker was last well.

So a health check is `find <folder> -newermt '-60 seconds'`, which starts no Python, and `headrace doctor` can say what is wrong.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_SUFFIX = ".pulse"
SILENT_SECONDS = 60
"""A worker that has written nothing for so long is hung, or gone without a word."""


@dataclass(frozen=True, slots=True)
class Pulse:
    name: str
    version: str
    at: float
    """Seconds since 1970, by this host's clock."""
    trouble: str = ""
    """Why the worker is not well; empty when it is."""
    waiting: int | None = None
    """Messages in its queues; None when Redis did not say."""
    running: int = 0
    taken: int = 0
    """Since the worker started."""
    refused: int = 0
    """Messages that nobody of ours sent, since then."""


def write(folder: Path, pulse: Pulse, *, well_at: float) -> None:
    """Put the file in place as a whole. `well_at`: when the worker was last well. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _file(folder, pulse.name)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(pulse)))
    os.utime(draft, (well_at, well_at))
    draft.replace(file)


def remove(folder: Path, name: str) -> None:
    _file(folder, name).unlink(missing_ok=True)


def read(folder: Path) -> list[Pulse]:
    """Of all workers that share the folder, by name. What is no pulse is passed over."""
    found = []
    for file in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found.append(Pulse(**json.loads(file.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return found


def trouble(pulse: Pulse, now: float | None = None) -> str:
    """Why the worker is not well, now; empty when it is."""
    silent = (time.time() if now is None else now) - pulse.at
    return f"nothing was heard of it for {silent:.0f} s" if silent > SILENT_SECONDS else pulse.trouble


def _file(folder: Path, name: str) -> Path:
    return folder / (re.sub(r"[^A-Za-z0-9.@_-]", "_", name) + _SUFFIX)
