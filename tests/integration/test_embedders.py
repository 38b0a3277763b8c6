"""An embedder that pip installed, through its host, as a worker uses it."""

import json

import pytest

from app.domain.errors import ProcessingFailed, Unavailable
from app.settings import Settings, SettingsError
from headrace_plugin import EMBEDDINGS, TEXT, Limits
from tests.plugins.installed import install
from worker import runtime
from worker.chunks import cutting
from worker.chunks.cutting import Cut
from worker.chunks.embedding import Embedded
from worker.isolation.embedder_host import EmbedderHost
from worker.isolation.parser import Request


@pytest.fixture(scope="module")
def tally(tmp_path_factory):
    return install("tally", tmp_path_factory.mktemp("site"))


@pytest.fixture
def embed(tally, tmp_path, monkeypatch):
    """Embeds a text, cut into lines, each time in a folder of its own."""
    monkeypatch.syspath_prepend(str(tally))
    host, number = EmbedderHost("tally"), iter(range(1000))

    def ask(text, **limits):
        ask.folder = tmp_path / str(next(number))
        ask.folder.mkdir()
        (ask.folder / TEXT).write_text(text)
        count = cutting.write(ask.folder, Cut(12, len(text), (TEXT,)), lambda _: None)
        return host.embed(Request(tmp_path / "source", "text/plain", ask.folder, limits=Limits(**limits)), lambda _: None, count)

    yield ask
    host.close()


def test_an_embedder_that_pip_installed_makes_a_vector_for_each_chunk(embed):
    assert embed("aaaa\n\neeii") == Embedded("tally", "1.0", 5)
    assert [json.loads(line) for line in (embed.folder / EMBEDDINGS).read_text().splitlines()] == [
        {"chunk": 1, "vector": [0.4, 0.2, 0.2, 0.0, 0.0]},
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("CRASH", "crash"), ("HANG", "timeout"), ("SECRET", "encrypted"), ("NOTHING", "crash"), ("INFINITE", "crash"), ("a first line\n\nSHORT", "crash")],
)
def test_what_it_does_to_one_source_is_a_failure_of_that_source_alone(embed, text, code):
    with pytest.raises(ProcessingFailed) as failure:
        embed(text, wall_seconds=2)
    assert failure.value.code == code
    assert embed("aeiou") == Embedded("tally", "1.0", 5)


def test_its_memory_is_limited(embed):
    with pytest.raises(ProcessingFailed) as failure:
        embed("GREEDY", memory_bytes=256 << 20)
    assert failure.value.code == "resource_limit"


def test_one_that_cannot_be_imported_leaves_the_run_to_be_tried_again(tmp_path, monkeypatch):
    known = tmp_path / "broken-1.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (known / "entry_points.txt").write_text("[headrace.embedders]\nbroken = no_such_module:Any\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host = EmbedderHost("broken")
    with pytest.raises(Unavailable):
        host.embed(Request(tmp_path, "text/plain", tmp_path), lambda _: None, 1)
    host.close()


def test_a_worker_does_not_start_without_the_embedder_that_is_named(tally, monkeypatch):
    with pytest.raises(SettingsError, match="HEADRACE_EMBEDDER: no embedder 'tally' is installed"):
        runtime._stages(Settings(embedder="tally"))
    monkeypatch.syspath_prepend(str(tally))
    assert [step.stage for step in runtime._stages(Settings(embedder="tally"))][-3:] == ["chunk", "embed", "store"]
