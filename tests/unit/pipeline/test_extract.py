import pytest

from app.domain import media
from app.domain.errors import ProcessingFailed
from app.domain.layout import artifact_key
from headrace_plugin import THUMBNAIL, Extracted, Limits
from headrace_plugin import Thumbnail as Picture
from tests import documents
from tests.unit.pipeline.stage import OWNER, Alive, a_context
from worker.isolation.inline import Inline
from worker.pipeline.lease import LeaseLost
from worker.pipeline.stages.extract import Extract
from worker.pipeline.stages.store import Store
from worker.pipeline.stages.thumbnail import Thumbnail
from worker.processors.registry import Registry


class Drawn:
    """Writes all that there is; `what` says how its thumbnail goes."""

    name, version, priority = "drawn", "1", 0
    media_types = ("text/*",)

    def __init__(self, what="drawn"):
        self.what = what

    def process(self, reading):
        reading.write_page("one")
        reading.progress(1, 2, "pages")
        reading.write_page("two")
        reading.progress(2, 2, "pages")
        reading.write_markdown("# one")
        return Extracted(pages=2)

    def thumbnail(self, reading):
        if self.what == "fails":
            raise ValueError(self.what)
        if self.what == "nothing":
            return None
        (reading.folder / THUMBNAIL).write_bytes(b"RIFF")
        return Picture(4, 3)


def with_drawn(tmp_path, what="drawn", **more):
    return a_context(tmp_path, b"x", parser=Inline(Registry([Drawn(what)])), **more)


def test_an_encrypted_office_file_is_said_to_be_one(tmp_path):
    with pytest.raises(ProcessingFailed) as failure:
        Extract().run(a_context(tmp_path, documents.ole("EncryptedPackage"), media_type=media.ENCRYPTED))
    assert failure.value.code == "encrypted"


def test_pages_are_told_as_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("worker.pipeline.context._PROGRESS_SECONDS", 0)
    context = with_drawn(tmp_path)
    Extract().run(context)
    assert [(event.stage, event.stage_progress, event.done, event.total, event.unit) for event in context.told.progressed] == [
        ("extract", 50, 1, 2, "pages"),
        ("extract", 100, 2, 2, "pages"),
    ]


def test_percent_alone_has_no_count(tmp_path):
    context = a_context(tmp_path, b"words")
    context.progress("extract", "m", 50)
    event = context.told.progressed[0]
    assert (event.stage_progress, event.done, event.total, event.unit) == (50, None, None, None)


def test_a_lease_that_is_lost_stops_the_reading(tmp_path):
    context = with_drawn(tmp_path, heartbeat=Alive())
    context.milestone = lambda *_: setattr(context._heartbeat, "error", LeaseLost())
    with pytest.raises(LeaseLost):
        Extract().run(context)


def test_all_that_was_written_is_stored_under_the_attempts_fence(tmp_path):
    context = with_drawn(tmp_path)
    for stage in (Extract(), Thumbnail(), Store()):
        stage.run(context)
    expected = {"text": ("text.txt", b"one\ftwo"), "markdown": ("document.md", b"# one"), "thumbnail": ("thumbnail.webp", b"RIFF")}
    expected["pages"] = ("pages.jsonl", b'{"page": 1, "text": "one"}\n{"page": 2, "text": "two"}\n')
    assert context.found.artifacts.keys() == expected.keys()
    for name, (file, body) in expected.items():
        artifact = context.found.artifacts[name]
        assert artifact.key == artifact_key(OWNER, "s", 1, context.fence, file)
        assert (context.store.get(artifact.key), artifact.size) == (body, len(body))
    assert context.found.artifacts["thumbnail"].filename == "a.txt.webp"


@pytest.mark.parametrize(("what", "codes"), [("fails", ["thumbnail_failed"]), ("nothing", [])])
def test_a_thumbnail_that_fails_costs_a_warning_and_nothing_else(tmp_path, what, codes):
    context = with_drawn(tmp_path, what)
    for stage in (Extract(), Thumbnail(), Store()):
        stage.run(context)
    assert [warning.code for warning in context.found.warnings] == codes
    assert "thumbnail" not in context.found.artifacts
    assert "text" in context.found.artifacts
    assert context.found.no_thumbnail == ("failed" if codes else "file")


@pytest.mark.parametrize(
    ("body", "media_type", "unread", "why"),
    [(b"words", media.PLAIN, False, "type"), (b"\0", media.UNKNOWN, False, "type"), (b"words", media.PLAIN, True, "file")],
)
def test_why_there_is_no_thumbnail_is_told(tmp_path, body, media_type, unread, why):
    context = a_context(tmp_path, body, media_type=media_type)
    context.found.is_unread = unread
    for stage in (Extract(), Thumbnail()):
        stage.run(context)
    assert (context.found.thumbnail, context.found.no_thumbnail, context.found.warnings) == (None, why, [])


def test_where_there_is_a_thumbnail_nothing_is_told_of_why_not(tmp_path):
    context = with_drawn(tmp_path)
    for stage in (Extract(), Thumbnail()):
        stage.run(context)
    assert (context.found.thumbnail, context.found.no_thumbnail) == (Picture(4, 3), None)


def test_a_long_text_goes_to_the_store_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("worker.pipeline.stages.store.PART_BYTES", 5 << 20)
    body = b"0123456789abcdef" * (1 << 20)
    context = a_context(tmp_path, body, limits=Limits(text_characters=1 << 30))
    for stage in (Extract(), Store()):
        stage.run(context)
    assert context.store.get(context.found.artifacts["text"].key) == body
