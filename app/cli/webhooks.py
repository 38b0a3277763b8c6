"""`headrace webhooks list` and `redeliver`: who outside has yet to hear of an end."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from app.cli.connection import Connection, plain


def list_webhooks(connection: Connection, console: Console) -> None:
    found = connection.call("GET", "/public/webhooks").json()["webhooks"]
    cells = [("source", "run", "target", "attempts", "next", "last")]
    for each in found:
        following = "given up" if each["given-up"] else str(each["next-at"])[:19]
        cells.append((each["source-uuid"], str(each["run"]), each["target"], str(each["attempts"]), following, each.get("last") or ""))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        console.print(Text(plain("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())), soft_wrap=True)


def redeliver(connection: Connection, source: str, console: Console) -> None:
    for each in connection.call("POST", f"/public/webhooks/{source}/redeliver").json()["webhooks"]:
        console.print(Text(plain(f"{each['source-uuid']} run {each['run']}: {each['target']} is told anew")))
