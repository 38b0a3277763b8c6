import json

import pytest

from app.domain.errors import ProcessingFailed
from app.domain.layout import artifact_key
from app.domain.stages import Stage
from headrace_plugin import EMBEDDINGS, Failed, Limits
from tests.unit.pipeline.stage import OWNER, a_context
from worker.chunks import embedding
from worker.pipeline import run
from worker.pipeline.stages.chunk import Chunk
from worker.pipeline.stages.embed import Embed
from worker.pipeline.stages.extract import Extract
from worker.pipeline.stages.store import Store

LIMITS = Limits(memory_bytes=7)


class Lengths:
    """Embeds in this process."""

    def embed(self, request, alive, count):
        assert request.limits == LIMITS
        try:
            return embedding.write(Inner(), request.folder, count, lambda _: alive(None))
        except Failed as error:
            raise ProcessingFailed(error.code, error.detail) from error


class Inner:
    name, version = "lengths", "1"

    def embed(self, chunks):
        if chunks[0].text == "crash":
            raise Failed("crash")
        return [[float(len(chunk.text))] for chunk in chunks]


def through(context, *, by_default=True, on_request=True):
    for stage in (Extract(), Chunk(100, by_default=by_default, of_profiles={}, on_request=on_request), Embed(Lengths(), LIMITS), Store()):
        stage.run(context)
    return context.found


def test_vectors_are_stored_beside_the_chunks(tmp_path):
    context = a_context(tmp_path, b"words")
    found = through(context)
    artifact = found.artifacts["embeddings"]
    assert (artifact.key, artifact.filename) == (artifact_key(OWNER, "s", 1, context.fence, EMBEDDINGS), "a.txt.embeddings.jsonl")
    assert json.loads(context.store.get(artifact.key)) == {"chunk": 1, "vector": [5.0]}
    assert [event.stage for event in context.told.milestones] == ["extract", "chunk", "embed", "store"]
    told = run._success(context).chunks
    assert (told.count, told.embedder, told.embedder_version, told.dimensions) == (1, "lengths", "1", 1)


def test_a_failure_is_that_of_the_source(tmp_path):
    with pytest.raises(ProcessingFailed) as failure:
        through(a_context(tmp_path, b"crash"))
    assert failure.value.code == "crash"


@pytest.mark.parametrize("body", [b" ", b"\n\f\n"])
def test_without_a_chunk_nobody_is_asked(tmp_path, body):
    found = through(a_context(tmp_path, body))
    assert (found.chunks, "embeddings" in found.artifacts) == (0, False)


@pytest.mark.parametrize(
    ("asked", "on_request", "embedded"), [(True, True, True), (False, True, False), (None, True, False), ("true", True, False), (True, False, False)]
)
def test_an_upload_may_ask_for_it_where_there_is_an_embedder(tmp_path, asked, on_request, embedded):
    context = a_context(tmp_path, b"words")
    context.record = context.record.model_copy(update={"options": {} if asked is None else {"generate-embedding": asked}})
    found = through(context, by_default=False, on_request=on_request)
    assert ("embeddings" in found.artifacts, "chunks" in found.artifacts) == (embedded, embedded)


def test_it_comes_after_the_chunks():
    stages = run.chunked(run.STAGES, Chunk(100, by_default=True, of_profiles={}), Embed(Lengths(), LIMITS))
    assert [step.stage for step in stages][-3:] == [Stage.CHUNK, Stage.EMBED, Stage.STORE]
