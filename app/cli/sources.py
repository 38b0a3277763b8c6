"""`headrace show`, `list`, `cancel`, `retry`, `reprocess`, `delete` and `dead`: sources by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from rich.console import Console
from rich.text import Text

from app.cli.bars import told
from app.cli.connection import Connection, plain


def show(connection: Connection, source: str, console: Console) -> None:
    found = connection.call("GET", f"/public/sources/{source}").json()
    state = found.get("state")
    words = [f"{found.get('filename')}", f"{state}", f"run {found.get('run')}", f"attempt {found.get('attempt')}"]
    if state == "processing":
        words.append(f"{found.get('stage')} {found.get('progress')} %")
    if found.get("code"):
        words.append(str(found["code"]))
    if found.get("result"):
        words.append(told(found["result"]))
    console.print(Text(plain(" · ".join(words))))
    console.print(Text(plain(timeline(found.get("timeline") or []))))


def timeline(moments: list[dict[str, Any]]) -> str:
    """What happened, each with the seconds since the first."""
    if not moments:
        return "no timeline"
    at = [datetime.fromisoformat(moment["at"]) for moment in moments]
    lines = [f"{moment['what']} {(when - at[0]).total_seconds():.1f}" for moment, when in zip(moments, at, strict=True)]
    lines[0] += " s"
    return " · ".join(lines)


def list_sources(connection: Connection, console: Console, *, limit: int, dead: bool = False) -> None:
    rows = list(islice(_all(connection, dead=dead), limit))
    cells = [("source", "state", "bytes", "accepted", "type", "file"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        # Never cut: an id is there to be copied.
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(line), soft_wrap=True)


def _all(connection: Connection, *, dead: bool) -> Iterator[dict[str, Any]]:
    """By pages, as far as they are wanted."""
    asked = {"dead": "true"} if dead else {}
    cursor: str | None = None
    while True:
        page = connection.call("GET", "/public/sources", **asked, **({"cursor": cursor} if cursor else {})).json()
        yield from page["sources"]
        cursor = page.get("next-cursor")
        if not cursor:
            return


def _cells(source: dict[str, Any]) -> tuple[str, ...]:
    size = source.get("size")
    values = (
        source["source-uuid"],
        f"{source['state']} ({source['code']})" if source.get("code") else source["state"],
        "" if size is None else f"{size:,}",
        str(source.get("accepted-at") or "")[:19],
        source.get("media_type"),
        source.get("filename"),
    )
    return tuple(plain(str(value or "")) for value in values)


def delete(connection: Connection, source: str, console: Console) -> None:
    connection.call("DELETE", f"/public/sources/{source}")
    console.print(Text(plain(f"{source} deleted")))


def cancel(connection: Connection, source: str, console: Console) -> None:
    connection.call("POST", f"/public/sources/{source}/cancel")
    console.print(Text(plain(f"{source} cancelled")))


def retry(connection: Connection, sources: Sequence[str], console: Console, *, call: str = "retry") -> None:
    """Says which run is meant, so that an answer that was lost does no harm."""
    for source in sources:
        run = connection.call("GET", f"/public/sources/{source}").json()["run"]
        again = connection.call("POST", f"/public/sources/{source}/{call}", run=str(run)).json()
        console.print(Text(plain(f"{source} run {again['run']}")))


def reprocess(connection: Connection, meant: dict[str, Any], console: Console) -> None:
    """All that is meant, by pages. What ends while we are at it is not meant."""
    asked = {"ended-before": datetime.now(UTC).isoformat()} | meant
    while True:
        page = connection.call("POST", "/public/sources/reprocess", body=asked).json()
        for source in page["sources"]:
            console.print(Text(plain(f"{source['source-uuid']} {source.get('code') or 'begun'}")))
        if not page.get("next-cursor"):
            return
        asked["cursor"] = page["next-cursor"]


def dead_letters(connection: Connection) -> list[str]:
    return [source["source-uuid"] for source in _all(connection, dead=True)]
