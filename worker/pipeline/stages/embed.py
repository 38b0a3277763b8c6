"""Embed: a vector for each chunk, where an embedder is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from app.domain.stages import Stage
from headrace_plugin import Limits
from worker.chunks.embedding import Embedded
from worker.isolation.parser import Alive, Progress, Request
from worker.pipeline.context import StageContext

_MESSAGE = "Computing embeddings"


class Embedding(Protocol):
    """Whoever has the embedder."""

    def embed(self, request: Request, alive: Alive, count: int) -> Embedded:
        """Raises ProcessingFailed, Unavailable."""


class Embed:
    stage = Stage.EMBED

    def __init__(self, embedding: Embedding, limits: Limits) -> None:
        """`limits`: of one document's embedding."""
        self._embedding = embedding
        self._limits = limits

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed, Unavailable: what an Embedding raises."""
        count = context.found.chunks
        if not count:
            return
        context.milestone(_MESSAGE, Stage.EMBED)

        def alive(progress: Progress | None) -> None:
            if progress is None:
                context.check()
            else:
                context.progress(Stage.EMBED, _MESSAGE, progress.done, progress.total, progress.unit)

        context.found.embedded = self._embedding.embed(replace(context.request(), limits=self._limits), alive, count)
