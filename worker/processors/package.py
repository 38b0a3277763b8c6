"""A ZIP of XML parts, as Office, OpenDocument and EPUB files are: its members as streams, its XML without entities, its relations.

No DOCTYPE is let through: none of these formats has one, and there would be nothing left to attack but expat's own limits.
"""

from __future__ import annotations

import errno
import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from worker.processors.base import Failed, Reading
from worker.processors.markup import refuse_doctype

Element = ET.Element

_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ET.ParseError, RecursionError, NotImplementedError, ValueError,
)  # fmt: skip
_SAID_BY_A_LIAR: Final = {None, errno.EINVAL}
"""bz2 has no number for bad data; and a member may stand before the file's beginning."""

_SMALL_BYTES: Final = 32 * 1024 * 1024
"""Parts that are read whole (styles, relations, one slide) are never so large in a document that somebody wrote."""
_PROLOGUE_BYTES: Final = 64 * 1024
_ENCRYPTED_FLAG: Final = 0x1


class Package:
    """Raises Failed: malformed, encrypted, from every call."""

    def __init__(self, path: Path) -> None:
        with _blamed():
            self._zip = zipfile.ZipFile(path)
        self._names = frozenset(self._zip.namelist())
        self._compressed = max(1, sum(member.compress_size for member in self._zip.infolist()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self._names if name.startswith(prefix))

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """The member as a stream; malformed when it is not there."""
        with _blamed():
            if name not in self._names:
                raise Failed("malformed", f"no part {name}")
            if self._zip.getinfo(name).flag_bits & _ENCRYPTED_FLAG:
                raise Failed("encrypted")
            with self._zip.open(name) as stream:
                yield stream

    def share(self, name: str) -> float:
        """What part of the whole file this member is."""
        return self._zip.getinfo(name).compress_size / self._compressed

    def read(self, name: str) -> bytes:
        """A small member whole."""
        with self.open(name) as stream:
            content = stream.read(_SMALL_BYTES + 1)
        if len(content) > _SMALL_BYTES:
            raise Failed("malformed", f"{name} is too large for what it is")
        return content

    def tree(self, name: str) -> Element | None:
        """The root of a small part; None when there is no such part."""
        if name not in self._names:
            return None
        content = self.read(name)
        with _blamed():
            refuse_doctype(content)
            return ET.fromstring(content)  # noqa: S314 - there is no DOCTYPE in it

    def each(self, name: str, depth: int, reading: Reading) -> Iterator[Element]:
        """The part's elements of that depth (the root has 1), whole, one after the other; the memory of one at a time."""
        size = max(1, self._zip.getinfo(name).file_size) if name in self._names else 1
        with self.open(name) as stream:
            refuse_doctype(stream.read(_PROLOGUE_BYTES))
        with self.open(name) as stream:
            level = 0
            above: list[Element] = []
            for event, element in ET.iterparse(stream, ("start", "end")):  # noqa: S314 - there is no DOCTYPE in it
                if event == "start":
                    level += 1
                    above.append(element)
                    continue
                if level == depth:
                    reading.progress(min(size, stream.tell()), size)
                    yield element
                    if level > 1:
                        above[-2].remove(element)
                level -= 1
                above.pop()

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: id -> (the last word of its type, the part's name, or an address outside)."""
        folder, base = posixpath.split(name)
        root = self.tree(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for element in root if root is not None else ():
            target = element.get("Target", "")
            if element.get("TargetMode") != "External":
                target = self.resolved(folder, target)
            found[element.get("Id", "")] = element.get("Type", "").rpartition("/")[2], target
        return found

    def related(self, name: str, kind: str) -> str | None:
        """The first part that `name` refers to as `kind`, if it is there."""
        return next((target for found, target in self.relations(name).values() if found == kind and target in self._names), None)

    def resolved(self, folder: str, target: str) -> str:
        """The name of a member that a part in `folder` calls `target`."""
        path = posixpath.normpath(posixpath.join("/", folder, target.partition("#")[0])).lstrip("/")
        return path if path in self._names else unquote(path)


@contextmanager
def _blamed() -> Iterator[None]:
    """What the libraries raise over a broken file, as our failure."""
    try:
        yield
    except _BROKEN as error:
        raise Failed("malformed", f"{type(error).__name__}: {error}") from error
    except OSError as error:
        if error.errno not in _SAID_BY_A_LIAR:
            raise
        raise Failed("malformed", str(error)) from error


def local(element: Element) -> str:
    """Its name without the namespace: formats of one family differ in it (strict and transitional Office)."""
    return element.tag.rpartition("}")[2]


def attribute(element: Element, name: str) -> str | None:
    """By its name without the namespace."""
    if (value := element.get(name)) is not None:
        return value
    return next((value for key, value in element.items() if key.rpartition("}")[2] == name), None)


def child(element: Element | None, *names: str) -> Element | None:
    """The first descendant along these names."""
    for name in names:
        if element is None:
            return None
        element = next((found for found in element if local(found) == name), None)
    return element


def number(text: str | None, default: int = 0) -> int:
    with suppress(ValueError, TypeError):
        return int(text or "")
    return default
