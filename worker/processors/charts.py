"""Charts of Office files: their title, and the numbers that they show as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.processors.blocks import Block, Paragraph, Table, cropped, line, plain
from worker.processors.package import Element, child, local, number

_POINTS: Final = 10_000
"""Of one series: a chart of more is a cloud."""


def chart(root: Element | None) -> Iterator[Block]:
    """From the part that the frame in the text refers to."""
    shown = child(root, "chart")
    if shown is None:
        return
    title = child(shown, "title")
    if title is not None and (text := line(" ".join(found.text or "" for found in title.iter() if local(found) == "t"))):
        yield Paragraph(plain(text))
    table = _table([found for found in shown.iter() if local(found) == "ser"])
    if table.rows:
        yield table


def _table(series: list[Element]) -> Table:
    """A column for each series, under its name; a row for each category."""
    cells: dict[tuple[int, int], str] = {}
    for column, one in enumerate(series, 1):
        name, categories, values = child(one, "tx"), child(one, "cat"), child(one, "val")
        cells[0, column] = line(" ".join(_points(name).values()))
        if column == 1:
            cells |= {(1 + index, 0): text for index, text in _points(categories).items()}
        cells |= {(1 + index, column): text for index, text in _points(values).items()}
    return cropped({at: text for at, text in cells.items() if text})


def _points(element: Element | None) -> dict[int, str]:
    """What is kept of the cells that it refers to."""
    found: dict[int, str] = {}
    for point in element.iter() if element is not None else ():
        if local(point) == "pt" and len(found) < _POINTS:
            value = child(point, "v")
            found[number(point.get("idx"))] = line((value.text or "") if value is not None else "")
    return found
