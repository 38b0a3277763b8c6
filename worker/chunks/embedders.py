"""The embedders that installed distributions name.

One is loaded in a host of its own only (worker/isolation): nothing of a plug-in, not even its import, happens in a process that has keys.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from headrace_plugin import EMBEDDERS, Embedder


def find(name: str) -> EntryPoint:
    """Imports nothing. Raises ValueError, with a text for whoever named it."""
    entries = entry_points(group=EMBEDDERS)
    found = next((each for each in entries if each.name == name), None)
    if found is None:
        raise ValueError(f"no embedder {name!r} is installed; there are: {', '.join(sorted(entries.names)) or 'none'}")
    return found


def load(name: str) -> Embedder:
    """Raises ValueError, TypeError, and whatever a stranger's module does at its import."""
    loaded: Any = find(name).load()
    embedder: Embedder = loaded() if isinstance(loaded, type) else loaded
    missing = [each for each in ("name", "version", "embed") if not hasattr(embedder, each)]
    if missing:
        raise TypeError(f"embedder {name} has no {', '.join(missing)}")
    return embedder
