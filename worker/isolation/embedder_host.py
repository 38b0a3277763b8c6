"""The host of an embedder, as the pipeline sees it.

Not the parser host: a library for models takes gigabytes of the address space, which each reading would pay for out of its limit, and some
seconds to import, which each document would pay for without a host.
"""

from __future__ import annotations

from pydantic import ValidationError

from app.domain.errors import ProcessingFailed
from headrace_plugin import EMBEDDINGS
from worker.chunks.embedding import EMBEDDED, Embedded
from worker.isolation.hosts import Hosts, expect_plain
from worker.isolation.parser import Alive, Request


class EmbedderHost(Hosts):
    def __init__(self, name: str) -> None:
        """`name`: that of the entry point."""
        super().__init__("--embedder", name)

    def embed(self, request: Request, alive: Alive, count: int) -> Embedded:
        """`embeddings.jsonl` beside the chunks in the folder. Raises as a Parser does."""
        said = self.ask(request, alive, {"what": "embed", "count": count})
        try:
            embedded = EMBEDDED.validate_python(said["embedded"])
        except (KeyError, ValidationError) as error:
            raise ProcessingFailed("crash", f"no answer: {type(error).__name__}") from error
        expect_plain(request.folder / EMBEDDINGS)
        return embedded
