"""What lies in a store's folder, read back as names and keys in the byte order of the keys, page by page."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from app.adapters.folder_name import BODY, ENTRY, SHARD, decode, encode, shard

_STRAY_SECONDS = 24 * 3600


def names_in(folder: Path, since: str) -> Iterator[str]:
    """Names >= `since`, ascending; folders end in `/`, and may be empty. Reads no more shards than are asked for."""
    names, shards = _read(folder)
    yield from sorted(name for name in names if name >= since)
    for first, path in sorted(shards):
        if first >= since[:1]:
            yield from sorted(name for name in _read(path)[0] if name >= since)


def keys_below(folder: Path, after: str) -> Iterator[str]:
    """Keys relative to `folder` that are > `after`, ascending. `a` < `a-b` < `a/b` < `a0`: the order of names that end in `/`."""
    head, slash, rest = after.partition("/")
    for name in names_in(folder, head + slash):
        if name.endswith("/"):
            for key in keys_below(child(folder, name), rest if name == head + slash else ""):
                yield name + key
        elif name != after:
            yield name


def child(folder: Path, name: str) -> Path:
    """The folder behind a name that ends in `/`, whether its parent is sharded or not."""
    segment = name.rstrip("/")
    direct = folder / encode(segment)
    return direct if direct.is_dir() else folder / shard(segment) / encode(segment)


def has_objects(folder: Path) -> bool:
    """Whether any object lies below: a folder may be left empty by a crash, or be in the making."""
    try:
        with os.scandir(folder) as entries:
            below = []
            for entry in entries:
                if entry.name.startswith(BODY):
                    continue
                if entry.name.endswith(ENTRY):
                    return True
                below.append(entry)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(has_objects(Path(entry.path)) for entry in below)


def _read(folder: Path) -> tuple[list[str], list[tuple[str, Path]]]:
    """The names in one directory, and its shards with their first character."""
    names: list[str] = []
    shards: list[tuple[str, Path]] = []
    links = 0
    bodies: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                name = entry.name
                if name.startswith(BODY):
                    bodies.append(name)
                elif name.endswith(ENTRY):
                    links += entry.is_symlink()
                    if (segment := decode(name.removesuffix(ENTRY))) is not None:
                        names.append(segment)
                elif name.startswith(SHARD):
                    if (first := decode(name.removeprefix(SHARD))) is not None and len(first) == 1:
                        shards.append((first, folder / name))
                elif (segment := decode(name)) is not None and entry.is_dir(follow_symlinks=False):
                    names.append(segment + "/")
    except FileNotFoundError:
        return [], []
    if len(bodies) > links:
        _remove_strays(folder, bodies)
    return names, shards


def _remove_strays(folder: Path, bodies: list[str]) -> None:
    """Remove bodies that no entry names: a crash, or two writers of one key at once, left them. Younger ones may get their entry yet."""
    with contextlib.suppress(OSError):
        named = {entry.readlink().name for entry in folder.iterdir() if entry.is_symlink()}
        for body in set(bodies) - named:
            seen = (folder / body).lstat()
            if max(seen.st_mtime, seen.st_ctime) < time.time() - _STRAY_SECONDS:
                (folder / body).unlink()
