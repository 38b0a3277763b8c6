"""The fetch stage: bytes as a file, whether they lie in the store or at a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.adapters.memory import MemoryObjectStore
from app.domain.errors import ProcessingFailed
from app.domain.ids import ChannelId, SourceId, UploadId, new_fence, owner_id
from app.domain.layout import object_key
from app.domain.source import InboxRecord
from app.ports import Fetched
from headrace_plugin import Limits
from worker.guards.limits import Unpacked
from worker.isolation.inline import Inline
from worker.pipeline.context import StageContext
from worker.pipeline.stages import fetch
from worker.pipeline.stages.fetch import Fetch

OWNER = owner_id("org", "user")
PART = 5 * 1024 * 1024


class Alive:
    def check(self) -> None:
        pass


class Told:
    def tell(self, *_: object) -> None:
        pass

    progress = tell


class OneAnswer:
    """A Fetcher that answers with these chunks; an exception among them is raised where it stands."""

    def __init__(self, *chunks: bytes | Exception, filename: str | None = "from-url.txt") -> None:
        self.chunks = chunks
        self.filename = filename

    @contextmanager
    def fetch(self, url: str, *, max_bytes: int, check: Any = None) -> Iterator[Fetched]:
        def body() -> Iterator[bytes]:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk

        yield Fetched(url, "text/plain", self.filename, None, body())


def context(tmp_path: Path, store: MemoryObjectStore, *, url: str | None = None, fetcher: Any = None, **more: Any) -> StageContext:
    record = InboxRecord(
        source_uuid=SourceId("s"), ws_uuid=ChannelId("w"), upload=UploadId("u"), digest="d", url=url, base_url="http://here", **{"filename": "a.txt", **more}
    )
    return StageContext(
        owner=OWNER, record=record, fence=new_fence(), attempt=1, progress=0, store=store, story=Told(), fetcher=fetcher, parser=Inline(), limits=Limits(), unpacked=Unpacked(), scratch=tmp_path,
        max_bytes=1 << 30, heartbeat=Alive(),
    )  # fmt: skip


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


def test_an_upload_becomes_a_file(tmp_path: Path, store: MemoryObjectStore) -> None:
    store.put(object_key(OWNER, UploadId("u")), b"words")
    got = context(tmp_path, store)
    Fetch().run(got)
    assert (got.found.file.read_bytes(), got.found.size) == (b"words", 5)
    assert got.found.artifacts["original"].key == object_key(OWNER, UploadId("u"))


def test_an_object_that_somebody_removed_is_a_failure(tmp_path: Path, store: MemoryObjectStore) -> None:
    with pytest.raises(ProcessingFailed) as failure:
        Fetch().run(context(tmp_path, store))
    assert failure.value.code == "storage_failed"


@pytest.mark.parametrize("sizes", [[3], [PART], [PART, 1], [1, PART, PART], [PART * 3]])
def test_a_url_becomes_an_object_of_the_attempts_own_and_a_file(tmp_path: Path, store: MemoryObjectStore, sizes: list[int], monkeypatch) -> None:
    monkeypatch.setattr(fetch, "part_bytes", lambda _size: PART)
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    got = context(tmp_path, store, url="http://there/", fetcher=OneAnswer(*chunks))
    Fetch().run(got)
    whole = b"".join(chunks)
    assert (got.found.file.read_bytes(), got.found.size) == (whole, len(whole))
    assert got.found.object_key != object_key(OWNER, UploadId("u"))
    assert store.get(got.found.object_key) == whole
    assert store.keys("objects/") == [got.found.object_key]


@pytest.mark.parametrize(
    ("asked", "theirs", "name"), [("mine.txt", "theirs.txt", "mine.txt"), ("unnamed", "../theirs.txt", "theirs.txt"), ("unnamed", None, "unnamed")]
)
def test_the_name_is_the_clients_else_the_origins(tmp_path: Path, store: MemoryObjectStore, asked: str, theirs: str | None, name: str) -> None:
    got = context(tmp_path, store, url="http://there/", fetcher=OneAnswer(b"x", filename=theirs), filename=asked)
    Fetch().run(got)
    assert (got.found.filename, got.found.artifacts["original"].filename) == (name, name)


@pytest.mark.parametrize("before", [0, PART + 1, 3 * PART])
def test_an_import_that_breaks_off_leaves_no_object(tmp_path: Path, store: MemoryObjectStore, before: int, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "part_bytes", lambda _size: PART)
    with pytest.raises(ProcessingFailed, match="could not be fetched"):
        Fetch().run(context(tmp_path, store, url="http://there/", fetcher=OneAnswer(b"x" * before, ProcessingFailed("fetch_failed"))))
    assert store.keys("objects/") == []
