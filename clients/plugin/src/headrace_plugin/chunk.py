"""A piece of a document's text, as retrieval wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHUNKS: Final = "chunks.jsonl"
EMBEDDINGS: Final = "embeddings.jsonl"


@dataclass(frozen=True, slots=True)
class Chunk:
    """`dataclasses.asdict` of it is a line of `chunks.jsonl`."""

    chunk: int
    """From 1, in the order of the text."""
    text: str
    start: int
    """Where it begins in `text.txt`, in characters (Unicode code points) from 0."""
    end: int
    """`text` is what stands there from `start` to before `end`."""
    page: int | None
    """From 1; of documents that are read by page. No chunk is on two."""
    headings: tuple[str, ...]
    """Titles of those that it stands under, the outermost first."""
    tokens: int
    """An estimate: a quarter of its bytes in UTF-8."""
