"""Which headings a document has, and where they stand in its text.

The text does not say which of its lines are headings: the Markdown or the outline does. Their titles are looked for in it, in their order.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final, TextIO

from headrace_plugin import Heading
from headrace_plugin.reading import PAGE_BREAK

_LINE_CHARACTERS: Final = 512
"""So much of a line is looked at; a longer one is no heading."""
_AHEAD: Final = 8
"""A title that is not in the text must not hide those after it: so many are looked for at a time."""
_ATX: Final = re.compile(r"(#{1,6})[ \t]+(?=\S)")
_FENCES: Final = ("```", "~~~")
# Lines are a stranger's: each of these looks at a character once or twice, whatever stands there.
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_MARK: Final = re.compile(r"\\([^\w\s])|[*`]+")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Place:
    """From `start` on the text stands under these headings, the outermost first."""

    start: int
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    page: int
    text: str
    """Empty for the rest of a very long one."""


def in_markdown(markdown: TextIO) -> Iterator[Heading]:
    """Those that are written with `#`, in order. Memory: a line."""
    fence: str | None = None
    for line in _lines(markdown):
        mark = line.text.lstrip()[:3]
        if mark in _FENCES:
            fence = None if fence == mark else fence or mark
        elif fence is None and (found := _ATX.match(line.text)):
            yield Heading(_title(line.text[found.end() :].rstrip()), len(found[1]))


def places(text: TextIO, headings: Iterable[Heading]) -> Iterator[Place]:
    """In the order of the text, which is read as they are asked for; each file is opened so that line breaks stay as they are.

    A heading with nothing of its own before the next deeper one begins that one's place.
    """
    path: list[Heading] = []
    held: Place | None = None
    for start, heading in _found(text, _Awaited(headings)):
        if heading is None or (path and heading.level <= path[-1].level):
            if held is not None:
                yield held
            held = None
        if heading is not None:
            path = [*(above for above in path if above.level < heading.level), heading]
            held = Place(start if held is None else held.start, tuple(each.title for each in path))
    if held is not None:
        yield held


def _found(text: TextIO, awaited: _Awaited) -> Iterator[tuple[int, Heading | None]]:
    """Where each heading stands, and with None where there are other words.

    One that is said to be on a page, and is no line of it, stands at its beginning; or at its end when another was found there.
    """
    for number, page in groupby(_lines(text), lambda line: line.page):
        begin, end, is_first = -1, 0, True
        for line in page:
            begin, end = (line.start if begin < 0 else begin), line.start + len(line.text)
            passed, found = awaited.take(line.text, number)
            for heading in passed:
                is_at_top = is_first and heading.page is not None
                yield (begin if is_at_top else line.start), heading
                if is_at_top and begin < line.start:
                    yield begin, None
            if found is not None:
                yield line.start, found
                is_first = False
            elif line.text.strip():
                yield line.start, None
        for heading in awaited.until(number):
            yield (begin if is_first else end), heading
            yield end, None


class _Awaited:
    """Headings that have not come yet."""

    def __init__(self, headings: Iterable[Heading]) -> None:
        self._later = iter(headings)
        self._next: deque[tuple[str, Heading]] = deque()

    def take(self, line: str, page: int) -> tuple[list[Heading], Heading | None]:
        """Those that have not come and will not any more, and the one that the line is."""
        self._look()
        if self._next and (key := _key(line)):
            for index, (title, heading) in enumerate(self._next):
                if title == key and heading.page in {None, page}:
                    return [self._next.popleft()[1] for _ in range(index)], self._next.popleft()[1]
        return [], None

    def until(self, page: int) -> Iterator[Heading]:
        """Those that were to come up to the end of this page."""
        self._look()
        while self._next and (on := self._next[0][1].page) is not None and on <= page:
            yield self._next.popleft()[1]
            self._look()

    def _look(self) -> None:
        self._next.extend((_key(each.title), each) for each in islice(self._later, _AHEAD - len(self._next)))


def _title(written: str) -> str:
    """Without marks, and without the `#` that may close it."""
    open_ended = written.rstrip("#")
    kept = open_ended.rstrip() if open_ended.endswith((" ", "\t")) else written
    return _MARK.sub(r"\1", _LINK.sub(r"\1", kept))


def _key(title: str) -> str:
    """What is compared: words, whatever stands around them."""
    return " ".join(_WORD.findall(_LINK.sub(r"\1", title).casefold()))


def _lines(text: TextIO) -> Iterator[_Line]:
    """All lines, none longer than 512 characters; a page break ends one too."""
    start, page, goes_on = 0, 1, False
    while read := text.readline(_LINE_CHARACTERS):
        for index, part in enumerate(read.split(PAGE_BREAK)):
            if index:
                start, page = start + 1, page + 1
            yield _Line(start, page, "" if goes_on and not index else part)
            start += len(part)
        goes_on = not read.endswith(("\n", "\r"))
