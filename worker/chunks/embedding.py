"""A vector for each chunk, by somebody else's embedder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from headrace_plugin import BATCH, CHUNKS, EMBEDDINGS, Chunk, Embedder, Failed


@dataclass(frozen=True, slots=True)
class Embedded:
    """What made the vectors, and how long each is."""

    embedder: Annotated[str, Field(max_length=100)]
    version: Annotated[str, Field(max_length=100)]
    dimensions: Annotated[int, Field(ge=1, strict=True)]


EMBEDDED: Final = TypeAdapter(Embedded)


def write(embedder: Embedder, folder: Path, count: int, tell: Callable[[dict[str, Any]], None]) -> Embedded:
    """`embeddings.jsonl` beside the `count` chunks, one at least, in `folder`. Raises Failed, and what the embedder lets through. Memory: a batch."""
    path = folder / EMBEDDINGS
    path.unlink(missing_ok=True)  # whoever read the document may have left something there
    dimensions = done = 0
    with (folder / CHUNKS).open(encoding="utf-8", newline="\n") as lines, path.open("x", encoding="utf-8") as out:
        for chunks in _batches(_chunk(line) for line in lines):
            for chunk, vector in zip(chunks, _vectors(embedder, chunks), strict=True):
                dimensions = dimensions or len(vector)
                if len(vector) != dimensions:
                    raise Failed("crash", f"a vector of {len(vector)} numbers among those of {dimensions}")
                out.write(json.dumps({"chunk": chunk.chunk, "vector": vector}) + "\n")
            done += len(chunks)
            tell({"progress": {"done": done, "total": count, "unit": "chunks"}})
    return Embedded(str(embedder.name), str(embedder.version), dimensions)


def _vectors(embedder: Embedder, chunks: Sequence[Chunk]) -> list[list[float]]:
    """As plain numbers, whatever array they came in."""
    vectors = [[float(number) for number in vector] for vector in embedder.embed(chunks)]
    if len(vectors) != len(chunks):
        raise Failed("crash", f"{len(vectors)} vectors for {len(chunks)} chunks")
    if not all(vector and all(map(math.isfinite, vector)) for vector in vectors):
        raise Failed("crash", "a vector that is empty, or has no number where one should be")
    return vectors


def _batches(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    while batch := list(islice(chunks, BATCH)):
        yield batch


def _chunk(line: str) -> Chunk:
    told = json.loads(line)
    return Chunk(**told | {"headings": tuple(told["headings"])})
