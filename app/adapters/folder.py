"""Objects in a folder of this machine, for as many processes as like to share it: the embedded default, fit for real data.

A write makes a temporary file durable, gives it its entry (the name of the key) in one step, `link` or `symlink` to create, `rename`
to replace, and makes the directory durable: two fsyncs, one for an empty object. Most objects have the media type that is usual for their place, and the
entry is the file. Any other type is part of the name of the file, its body, and the entry is a symbolic link to it. So whoever finds
an entry finds whole bytes with their own type, at any moment and after any crash.

What a crash may leave is invisible, and goes after a day: temporary files when a store is opened, bodies without an entry when
their directory is listed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from stat import S_ISLNK
from typing import Final, TypeVar

from app.adapters import durable
from app.adapters.create_only import prove
from app.adapters.folder_listing import child, has_objects, keys_below, names_in
from app.adapters.folder_name import BODY, folder_of, is_body, place_of, suffix_of, type_of
from app.adapters.folder_transfer import FolderTransfer, disk_refusals, write_at
from app.adapters.object_key import checked_limit, checked_prefix
from app.adapters.parts import Parts
from app.domain.errors import ObjectNotFound, StoreUnfit, Unavailable
from app.ports import Listed, ObjectStat

_TEMP: Final = "+tmp"
_SWEPT_SECONDS: Final = 24 * 3600
_TRIES: Final = 100

Content = bytes | bytearray | memoryview
Answer = TypeVar("Answer")


class FolderObjectStore:
    """Raises StoreUnfit when the folder cannot be made or written. Errors of the disk (full, read-only, broken) are Unavailable."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100  Path.resolve would follow the links that an operator made
        self._temp = self._root / _TEMP
        try:
            made = [folder for folder in (self._root, *self._root.parents) if not folder.exists()]
            self._temp.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in made:
                durable.sync_folder(folder.parent)
            self._sweep(time.time() - _SWEPT_SECONDS)
        except OSError as error:
            raise StoreUnfit(detail=f"the folder {self._root} cannot hold objects: {error.strerror}") from error

    def put(self, key: str, body: Content, *, media_type: str = "application/octet-stream") -> None:
        entry = place_of(self._root, key)
        with disk_refusals():
            self._publish(entry, self._write(body, suffix_of(key, media_type)), replace=True)

    def create(self, key: str, body: bytes, *, media_type: str = "application/json") -> bool:
        entry = place_of(self._root, key)
        suffix = suffix_of(key, media_type)
        with disk_refusals():
            if os.path.lexists(entry):
                # Whoever is refused will build on what is there: it must outlast a power cut too, also when its writer is not done.
                durable.settle(entry.parent, self._root)
                return False
            return self._publish(entry, self._write(body, suffix), replace=False)

    def start(self, key: str, *, part_bytes: int, media_type: str = "application/octet-stream") -> FolderTransfer:
        entry = place_of(self._root, key)
        parts: Parts[None] = Parts(part_bytes)
        with disk_refusals():
            temp, fd = self._new_temp(suffix_of(key, media_type))
        return FolderTransfer(temp, fd, part_bytes, parts, publish=lambda: self._publish(entry, temp, replace=True))

    def get(self, key: str) -> bytes:
        with disk_refusals():
            return self._with_file(key, Path.read_bytes)

    def stat(self, key: str) -> ObjectStat | None:
        def look(file: Path) -> ObjectStat:
            seen = file.lstat()
            if S_ISLNK(seen.st_mode):
                raise FileNotFoundError  # it was a file when we asked
            return ObjectStat(size=seen.st_size, media_type=type_of(key, file.name), modified=datetime.fromtimestamp(seen.st_mtime, UTC))

        with disk_refusals():
            try:
                return self._with_file(key, look)
            except ObjectNotFound:
                return None

    def read(self, key: str, *, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with disk_refusals():
            chunks = _chunks(self._with_file(key, lambda file: os.open(file, os.O_RDONLY)), start, stop, chunk_bytes)
            next(chunks)  # now the descriptor is closed with the iterator, taken or not
            return chunks

    def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        folder = self._below(prefix)
        with disk_refusals():
            names = (name for name in names_in(folder, after) if name != after)
            full = (name for name in names if not name.endswith("/") or has_objects(child(folder, name)))
            return list(islice(full, checked_limit(limit))) or self._nothing()

    def keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        folder = self._below(prefix)
        if not after.startswith(prefix):
            if after > prefix:
                return []
            after = prefix
        with disk_refusals():
            keys = keys_below(folder, after.removeprefix(prefix))
            return [prefix + key for key in islice(keys, checked_limit(limit))] or self._nothing()

    def listing(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Listed]:
        while page := self.keys(prefix, after=after, limit=limit):
            seen = ((key, self.stat(key)) for key in page)
            if found := [Listed(key, stat.modified) for key, stat in seen if stat]:
                return found
            after = page[-1]  # all of them have gone meanwhile
        return []

    def drop_abandoned(self, before: datetime) -> int:
        with disk_refusals():
            return self._sweep(before.timestamp())

    def delete(self, keys: Sequence[str]) -> None:
        entries = [place_of(self._root, key) for key in keys]
        touched = set()
        with disk_refusals():
            for entry in entries:
                file = _behind(entry)
                if file is not None:
                    _remove(entry)
                    _remove(file)
                    touched.add(entry.parent)
            for folder in {self._prune(folder) for folder in touched}:
                durable.settle(folder, self._root)
            if not touched:
                self._require_folder()

    def link(self, key: str, *, filename: str, media_type: str, seconds: int) -> str | None:  # noqa: ARG002  a folder has no URL
        return None

    def path(self, key: str) -> Path | None:
        with disk_refusals():
            return self._with_file(key, lambda file: file.resolve(strict=True))

    def probe(self) -> None:
        prove(self)

    def close(self) -> None:
        """Holds nothing open between calls."""

    def _below(self, prefix: str) -> Path:
        return folder_of(self._root, checked_prefix(prefix).split("/")[:-1])

    def _with_file(self, key: str, use: Callable[[Path], Answer]) -> Answer:
        """`use` on the file that holds the object. Raises ObjectNotFound."""
        entry = place_of(self._root, key)
        gone = None
        while (file := _behind(entry)) is not None:
            if file == gone != entry:
                raise Unavailable("storage_failed", "the storage folder lost the bytes of an object")
            try:
                return use(file)
            except FileNotFoundError:
                gone = file  # replaced or deleted since; then the entry says something else now
        self._require_folder()
        raise ObjectNotFound(detail=key)

    def _require_folder(self) -> None:
        """Where nothing is found the disk itself may be away. Raises Unavailable."""
        if not self._temp.is_dir():
            raise Unavailable("storage_failed", "the storage folder is gone")

    def _nothing(self) -> list[str]:
        self._require_folder()
        return []

    def _new_temp(self, suffix: str = "") -> tuple[Path, int]:
        temp = self._temp_name(suffix)
        return temp, os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _temp_name(self, suffix: str = "") -> Path:
        return self._temp / f"{BODY}{secrets.token_hex(8)}{suffix}"

    def _write(self, content: Content, suffix: str) -> Path:
        temp, fd = self._new_temp(suffix)
        try:
            write_at(fd, content, 0)
            if content:  # an empty file is nothing but its entry, which its folder makes durable
                durable.sync(fd)
        except BaseException:
            _discard(temp)
            raise
        finally:
            os.close(fd)
        return temp

    def _publish(self, entry: Path, temp: Path, *, replace: bool) -> bool:
        """Give a durable file its entry. False when the name was taken (`replace` is off). `temp` is gone, whatever happens."""
        body = entry.parent / temp.name if is_body(temp.name) else None
        replaced = None
        with ExitStack() as at_the_end, ExitStack() as undo:
            at_the_end.callback(_discard, temp)
            if body:
                _into_folder(body, temp.rename)
                undo.callback(_discard, body)
            if replace:
                if before := self._second_name(entry):
                    at_the_end.callback(_discard, before)
                    replaced = entry.parent / before.readlink() if before.is_symlink() else None
                if body:
                    temp.symlink_to(body.name)
                _into_folder(entry, temp.rename)
                undo.callback(before.rename, entry) if before else undo.callback(_discard, entry)
            else:
                try:
                    entry.symlink_to(body.name) if body else _into_folder(entry, partial(os.link, temp))
                except FileExistsError:
                    durable.settle(entry.parent, self._root)
                    return False
                undo.callback(_discard, entry)
            durable.settle(entry.parent, self._root)
            undo.pop_all()
            if replaced:
                _discard(replaced)
        return True

    def _second_name(self, entry: Path) -> Path | None:
        """Another name for what is there, under which it survives being replaced; None when nothing is."""
        try:
            is_link = S_ISLNK(entry.lstat().st_mode)
            name = self._temp_name()
            if is_link:
                name.symlink_to(entry.readlink())
            else:
                name.hardlink_to(entry)
        except FileNotFoundError:
            return None
        return name

    def _prune(self, folder: Path) -> Path:
        """Remove what is empty upward; what remains. The folders at the top stay: the inbox is empty after each upload."""
        while self._root not in {folder, folder.parent}:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break
            folder = folder.parent
        return folder

    def _sweep(self, before: float) -> int:
        """Remove temporary files to which nothing was written since. What is younger than a day may be another process' who is writing it."""
        removed = 0
        with os.scandir(self._temp) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        _remove(Path(entry.path))
                        removed += 1
        return removed


def _behind(entry: Path) -> Path | None:
    """The file that holds the object: the entry itself, or the body that it names. None when there is no entry."""
    try:
        return entry.parent / entry.readlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # not a link
            return entry
        raise


def _chunks(fd: int, start: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
    """First an empty one."""
    try:
        yield b""
        with disk_refusals():
            while chunk := os.pread(fd, chunk_bytes if stop is None else max(0, min(chunk_bytes, stop - start)), start):
                start += len(chunk)
                yield chunk
    finally:
        os.close(fd)


def _into_folder(place: Path, put: Callable[[Path], object]) -> None:
    """`put(place)`; its folder may be missing, or be pruned by another process the moment after we made it."""
    for _ in range(_TRIES):
        try:
            put(place)
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                _make(place.parent)
        else:
            return
    raise Unavailable("storage_failed", "the storage folder lost a file that was being written")


def _make(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):  # pathlib's `exist_ok` looks at it then, and raises when it was pruned in that moment
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError:
            _make(folder.parent)
            folder.mkdir(mode=0o700)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _discard(path: Path) -> None:
    """What cannot be removed now is invisible, and goes after a day."""
    with contextlib.suppress(OSError):
        _remove(path)
