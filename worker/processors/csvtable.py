"""Tables as text: the text as it stands, and as Markdown what its rows and columns are."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import islice
from typing import Final

from app.domain import media
from worker.processors.base import BuiltIn, Extracted, Reading
from worker.processors.blocks import Table, line
from worker.processors.encoding import decode
from worker.processors.rendering import as_markdown

_DELIMITERS: Final = ",;\t|"
_SAMPLE_LINES: Final = 50


class CsvProcessor(BuiltIn):
    name = "csv"
    media_types: tuple[str, ...] = (media.CSV, "text/tab-separated-values")

    def process(self, reading: Reading) -> Extracted:
        decoded = decode(reading.path, limit=reading.limits.text_characters)
        decoded.warn(reading)
        reading.write_text(decoded.text)
        reading.progress(1, 2, "steps")
        delimiter = _delimiter(decoded.text)
        rows = _rows(decoded.text, delimiter) if delimiter else []
        details = {}
        if rows:
            details = {"rows": len(rows), "columns": max(len(row) for row in rows), "delimiter": delimiter}
            reading.write_markdown(as_markdown(Table(tuple(rows))))
        reading.progress(2, 2, "steps")
        return Extracted(encoding=decoded.encoding, truncated=decoded.truncated, details=details)


def _delimiter(text: str) -> str:
    """The one that most of the first lines have equally often; empty when none has."""
    sample = list(islice(text.splitlines(), _SAMPLE_LINES))
    found = ("", 0)
    for delimiter in _DELIMITERS:
        counts = Counter(count for each in sample if (count := each.count(delimiter)))
        if counts and (lines := counts.most_common(1)[0][1]) > found[1]:
            found = delimiter, lines
    return found[0] if found[1] * 2 >= len(sample) else ""


def _rows(text: str, delimiter: str) -> list[tuple[str, ...]]:
    """Empty when it is no table after all."""
    try:
        return [tuple(line(cell) for cell in row) for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) if row]
    except csv.Error:
        return []
