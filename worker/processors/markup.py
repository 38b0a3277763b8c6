"""XML that strangers wrote: what its prologue may hold before anything else looks at it."""

from __future__ import annotations

import re
from typing import Any, Final
from xml.parsers import expat

from worker.processors.base import Failed

_REFERS: Final = re.compile(r"&[^\W\d][\w.:-]*;")


class _Enough(Exception):
    pass


def refuse_doctype(head: bytes) -> None:
    """For formats that have none. Raises Failed: malformed, also when no element begins within `head`."""

    def refuse(*_: Any) -> None:
        raise Failed("malformed", "a DOCTYPE in a part that has none")

    _read_prologue(head, StartDoctypeDeclHandler=refuse)


def refuse_nested_entities(head: bytes) -> None:
    """For formats in which entities are usual (drawings). Raises Failed: bomb, for one that refers to others; malformed."""

    def declared(name: str, _parameter: bool, value: str | None, *_: Any) -> None:  # noqa: FBT001 - expat's arguments
        if value is not None and _REFERS.search(value):
            raise Failed("bomb", f"the entity {name} is made of others")

    _read_prologue(head, EntityDeclHandler=declared)


def _read_prologue(head: bytes, **handlers: Any) -> None:
    def begun(*_: Any) -> None:
        raise _Enough

    parser = expat.ParserCreate()
    parser.StartElementHandler = begun
    for name, handler in handlers.items():
        setattr(parser, name, handler)
    try:
        parser.Parse(head, False)
    except _Enough:
        return
    except expat.ExpatError as error:
        raise Failed("malformed", str(error)) from error
    raise Failed("malformed", "no element")
