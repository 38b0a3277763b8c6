import json

import pytest

from app.domain import media
from app.domain.layout import artifact_key
from app.domain.stages import Stage
from headrace_plugin import CHUNKS
from tests import pictures
from tests.unit.pipeline.stage import OWNER, a_context
from worker.pipeline import run
from worker.pipeline.lease import LeaseLost
from worker.pipeline.stages.chunk import Chunk
from worker.pipeline.stages.extract import Extract
from worker.pipeline.stages.store import Store


def chunk(*, by_default=True, **of_profiles):
    return Chunk(100, by_default=by_default, of_profiles=of_profiles)


def through(context, stage):
    for each in (Extract(), stage, Store()):
        each.run(context)
    return context.found


def test_the_chunks_of_a_text_are_stored_beside_it(tmp_path):
    context = a_context(tmp_path, b"# One\n\nWords.\n", media_type=media.MARKDOWN)
    found = through(context, chunk())
    artifact = found.artifacts["chunks"]
    assert (artifact.key, artifact.filename) == (artifact_key(OWNER, "s", 1, context.fence, CHUNKS), "a.txt.chunks.jsonl")
    body = context.store.get(artifact.key)
    assert artifact.size == len(body)
    assert [json.loads(line) for line in body.splitlines()] == [
        {"chunk": 1, "text": "# One\n\nWords.", "start": 0, "end": 13, "page": None, "headings": ["One"], "tokens": 4}
    ]
    assert found.chunks == 1
    assert [event.stage for event in context.told.milestones] == ["extract", "chunk", "store"]


@pytest.mark.parametrize(("by_default", "of_profile", "wanted"), [(True, None, True), (False, None, False), (False, True, True), (True, False, False)])
def test_a_profile_says_otherwise_than_the_deployment(tmp_path, by_default, of_profile, wanted):
    found = through(a_context(tmp_path, b"words"), chunk(by_default=by_default, **{} if of_profile is None else {"default": of_profile}))
    assert ("chunks" in found.artifacts, found.chunks) == (wanted, 1 if wanted else None)


def test_what_has_no_text_has_no_chunks(tmp_path):
    found = through(a_context(tmp_path, pictures.encoded("image/png"), media_type="image/png"), chunk())
    assert ("chunks" in found.artifacts, found.chunks) == (False, None)


def test_a_lease_that_is_lost_stops_the_cutting(tmp_path):
    context = a_context(tmp_path, b"words " * 50_000)
    Extract().run(context)
    context.milestone = lambda *_: setattr(context._heartbeat, "error", LeaseLost())
    with pytest.raises(LeaseLost):
        chunk().run(context)


def test_they_are_made_when_all_is_read_and_before_it_is_stored():
    assert [step.stage for step in run.chunked(run.STAGES, chunk())][-3:] == [Stage.THUMBNAIL, Stage.CHUNK, Stage.STORE]
    assert Stage.CHUNK not in [step.stage for step in run.STAGES]
