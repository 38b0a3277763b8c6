"""Folder and memory against a dict, over any sequence of calls."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.adapters.folder import FolderObjectStore
from app.adapters.memory import MemoryObjectStore
from app.domain.errors import ObjectNotFound

PART = 5 * 1024 * 1024
# Few, so that keys meet; of all kinds: one below another, upper case, one character, sharded places.
SEGMENTS = st.sampled_from(["a", "A", "a-", "a0", "ab", "aB", ".a", "~", "b", "B" * 128])
TOPS = st.sampled_from(["inbox", "objects", "sources", "channels", "x"])
KEYS = st.builds(lambda top, rest: "/".join([top, *rest]), TOPS, st.lists(SEGMENTS, max_size=4))
PREFIXES = st.one_of(st.just(""), KEYS.map(lambda key: key + "/"), TOPS.map(lambda top: top + "/"))
TYPES = st.sampled_from(["application/json", "application/octet-stream", "text/plain; charset=utf-8"])
BODIES = st.binary(max_size=20)


class ObjectStoreMachine(RuleBasedStateMachine):
    @initialize(folder=st.booleans())
    def open(self, folder: bool) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="headrace-model-"))
        self.store = FolderObjectStore(self.root) if folder else MemoryObjectStore()
        self.model: dict[str, tuple[bytes, str]] = {}

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    @rule(key=KEYS, body=BODIES, media_type=TYPES)
    def put(self, key: str, body: bytes, media_type: str) -> None:
        self.store.put(key, body, media_type=media_type)
        self.model[key] = (body, media_type)

    @rule(key=KEYS, body=BODIES, media_type=TYPES)
    def create(self, key: str, body: bytes, media_type: str) -> None:
        assert self.store.create(key, body, media_type=media_type) is (key not in self.model)
        self.model.setdefault(key, (body, media_type))

    @rule(key=KEYS, body=BODIES, media_type=TYPES, completed=st.booleans())
    def transfer(self, key: str, body: bytes, media_type: str, completed: bool) -> None:
        transfer = self.store.start(key, part_bytes=PART, media_type=media_type)
        transfer.put_part(1, body)
        if completed:
            transfer.complete()
            self.model[key] = (body, media_type)
        transfer.abort()

    @rule(keys=st.lists(KEYS, max_size=4))
    def delete(self, keys: list[str]) -> None:
        self.store.delete(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(prefix=PREFIXES)
    def delete_below(self, prefix: str) -> None:
        keys = self.store.keys(prefix)
        assert keys == sorted(key for key in self.model if key.startswith(prefix))
        self.store.delete(keys)
        for key in keys:
            del self.model[key]

    @rule(key=KEYS, start=st.integers(0, 25), length=st.one_of(st.none(), st.integers(0, 25)))
    def read(self, key: str, start: int, length: int | None) -> None:
        stop = None if length is None else start + length
        try:
            read = b"".join(self.store.read(key, start=start, stop=stop, chunk_bytes=3))
        except ObjectNotFound:
            assert key not in self.model
        else:
            assert read == self.model[key][0][start:stop]

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), SEGMENTS, SEGMENTS.map(lambda one: one + "/")), limit=st.integers(1, 5))
    def names(self, prefix: str, after: str, limit: int) -> None:
        below = (key.removeprefix(prefix) for key in self.model if key.startswith(prefix))
        names = {name.split("/")[0] + ("/" if "/" in name else "") for name in below}
        assert self.store.names(prefix, after=after, limit=limit) == sorted(name for name in names if name > after)[:limit]

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS), limit=st.integers(1, 5))
    def keys(self, prefix: str, after: str, limit: int) -> None:
        expected = sorted(key for key in self.model if key.startswith(prefix) and key > after)[:limit]
        assert self.store.keys(prefix, after=after, limit=limit) == expected

    @invariant()
    def all_is_there(self) -> None:
        if not hasattr(self, "model"):
            return
        assert self.store.keys("") == sorted(self.model)
        for key, (body, media_type) in self.model.items():
            assert self.store.get(key) == body
            seen = self.store.stat(key)
            assert (seen.size, seen.media_type) == (len(body), media_type)
            path = self.store.path(key)
            assert path is None or path.read_bytes() == body

    @invariant()
    def nothing_else_is(self) -> None:
        """No stray body, no temporary file, no empty folder but those at the top."""
        if not hasattr(self, "root"):
            return
        for path in self.root.rglob("*"):
            if path.is_dir():
                assert path.parent == self.root or any(path.iterdir()), path
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]
        assert len(files) == (len(self.model) if isinstance(self.store, FolderObjectStore) else 0)


TestObjectStore = ObjectStoreMachine.TestCase
TestObjectStore.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
