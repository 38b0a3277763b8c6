"""The protocol of a source, stopped before and after each of its steps: real store, real Redis, a worker's own code.

A stop is a `Died` raised out of the store or the ledger, after which nothing of that attempt runs on, as after a SIGKILL.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.folder import FolderObjectStore
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation, connect
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import RedisLedger
from app.domain.errors import FAILURES, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId, UploadId, owner_id
from app.domain.layout import object_key, result_key, source_prefix
from app.domain.source import InboxRecord, State
from app.protocol import erase, inbox
from app.protocol.announce import Announcer
from app.protocol.outcome import outcome
from tests.servers import Valkey
from worker.isolation.inline import Inline
from worker.pipeline import run as pipeline
from worker.pipeline.run import Parts, process
from worker.reconcile import Reconciler

OWNER = owner_id("org", "user")
SOURCE, CHANNEL = SourceId("s1"), ChannelId("w1")
WORDS = b"some words to read"


class Died(BaseException):
    """The process is gone."""


class NoFetcher:
    def fetch(self, *_: object, **__: object) -> Any:
        raise AssertionError("nothing is fetched here")


class Stops:
    """Anything, but a call that `when` names (name, arguments) is stopped before or after it is made."""

    def __init__(self, inner: object, when: Callable[[str, tuple], bool], error: type[BaseException], *, after: bool) -> None:
        self._inner, self._when, self._error, self._after = inner, when, error, after
        self.stopped = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        if not callable(real):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._when(name, args):
                return real(*args, **kwargs)
            self.stopped += 1
            if self._after:
                real(*args, **kwargs)
            raise self._error("stopped")

        return call


@dataclass
class House:
    parts: Parts
    valkey: Valkey

    def accept(self, body: bytes = WORDS) -> InboxRecord:
        record = InboxRecord(source_uuid=SOURCE, ws_uuid=CHANNEL, upload=UploadId("u1"), digest="d1", size=len(body), filename="a.txt", base_url="http://here")
        self.parts.store.put(object_key(OWNER, record.upload), body)
        assert inbox.create(self.parts.store, OWNER, record)
        self.parts.ledger.accept(OWNER, record)
        return record

    def ends(self) -> list[bytes]:
        with self.valkey.client(decode_responses=False) as redis:
            entries = redis.xrange(f"t:events:{OWNER}~{CHANNEL}")
        return [fields[b"d"] for _, fields in entries if b'"event":"source.succeeded"' in fields[b"d"] or b'"event":"source.failed"' in fields[b"d"]]

    def artifacts(self) -> list[str]:
        return [key.rpartition("/")[2] for key in self.parts.store.keys(source_prefix(OWNER, SOURCE))]

    def recover(self) -> None:
        """What comes after a death: the lease is over, and the next worker takes it."""
        with self.valkey.client(decode_responses=False) as redis:
            if redis.hget(f"t:source:{OWNER}~{SOURCE}", "state") == b"processing":
                redis.hset(f"t:source:{OWNER}~{SOURCE}", "lease", 0)
        process(self.parts, OWNER, SOURCE)

    def assert_one_success(self) -> None:
        assert outcome(self.parts.store, OWNER, SOURCE).result.state is State.SUCCEEDED
        assert len(self.ends()) == 1
        assert inbox.read(self.parts.store, OWNER, SOURCE) is None
        result = outcome(self.parts.store, OWNER, SOURCE).result
        assert self.parts.store.get(result.artifacts["text"].key) == WORDS
        assert self.parts.store.get(result.artifacts["original"].key) == WORDS


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Valkey() as valkey:
        ledger = RedisLedger(connect(RedisLocation(valkey.url)), Calls(Keyspace("t:"), Terms(grace_seconds=0.01)))
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        store = FolderObjectStore(tmp_path / "store")
        announcer = Announcer(["s" * 32], timedelta(days=1), lambda: datetime.now(UTC))
        yield House(Parts(store, ledger, NoFetcher(), announcer, scratch, 1 << 30, lease_seconds=30, parser=Inline()), valkey)
        ledger.close()
        store.close()


def is_commit(name: str, args: tuple) -> bool:
    return name == "create" and args[0].endswith("/result.json")


STEPS: dict[str, tuple[str, Callable[[str, tuple], bool]]] = {
    "claim": ("ledger", lambda name, _: name == "claim"),
    "first milestone": ("ledger", lambda name, _: name == "append"),
    "artifact": ("store", lambda name, args: name == "put" and args[0].endswith("text.txt")),
    "marker": ("store", lambda name, args: name == "put" and args[0].startswith("channels/")),
    "commit": ("store", is_commit),
    "finish": ("ledger", lambda name, _: name == "finish"),
    "inbox away": ("store", lambda name, args: name == "delete" and args[0][0].startswith("inbox/")),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", list(STEPS))
def test_a_death_around_any_step_ends_in_one_success(house: House, step: str, after: bool) -> None:
    house.accept()
    where, when = STEPS[step]
    stops = Stops(getattr(house.parts, where), when, Died, after=after)
    with pytest.raises(Died):
        process(replace(house.parts, **{where: stops}), OWNER, SOURCE)
    assert stops.stopped
    house.recover()
    house.assert_one_success()
    process(house.parts, OWNER, SOURCE)  # a hint that comes too late changes nothing
    house.assert_one_success()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["artifact", "marker", "commit"])
def test_an_outage_of_the_store_gives_the_run_back(house: House, step: str, after: bool) -> None:
    house.accept()
    store = Stops(house.parts.store, STEPS[step][1], Unavailable, after=after)
    process(replace(house.parts, store=store), OWNER, SOURCE)
    house.recover()
    house.assert_one_success()
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 1  # an outage costs no attempt


def test_the_winner_of_a_commit_that_gets_its_own_refusal_keeps_its_artifacts(house: House) -> None:
    """A client library that retried by itself: the object is ours, and the answer is 412."""

    class Retried(Stops):
        def __getattr__(self, name: str) -> Any:
            real = getattr(self._inner, name)
            return (lambda *args, **kwargs: real(*args, **kwargs) and False) if name == "create" else real

    house.accept()
    process(replace(house.parts, store=Retried(house.parts.store, lambda *_: False, Died, after=False)), OWNER, SOURCE)
    house.assert_one_success()
    assert sorted(house.artifacts()) == ["result.json", "text.txt"]


def test_the_loser_of_a_commit_removes_what_it_made_and_says_the_winners_end(house: House) -> None:
    house.accept()
    rival = Stops(house.parts.store, lambda *_: False, Died, after=False)
    inner = house.parts.store

    class Beaten(Stops):
        def __getattr__(self, name: str) -> Any:
            if name != "create":
                return getattr(inner, name)

            def create(key: str, body: bytes, **more: Any) -> bool:
                if key.endswith("/result.json"):  # in the last moment another attempt commits
                    with house.valkey.client(decode_responses=False) as redis:
                        redis.hset(f"t:source:{OWNER}~{SOURCE}", "lease", 0)
                    process(house.parts, OWNER, SOURCE)
                return inner.create(key, body, **more)

            return create

    process(replace(house.parts, store=Beaten(rival, lambda *_: False, Died, after=False)), OWNER, SOURCE)
    house.assert_one_success()
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 2
    assert sorted(house.artifacts()) == ["result.json", "text.txt"]


@pytest.mark.parametrize("where", ["before the commit", "after the commit"])
def test_deleted_while_its_commit_is_stalled_it_stays_deleted(house: House, where: str) -> None:
    house.accept()
    inner = house.parts.store
    reached, deleted = threading.Event(), threading.Event()

    class Stalled(Stops):
        def __getattr__(self, name: str) -> Any:
            if name != "create":
                return getattr(inner, name)

            def create(key: str, body: bytes, **more: Any) -> bool:
                if not key.endswith("/result.json"):
                    return inner.create(key, body, **more)
                made = where == "after the commit" and inner.create(key, body, **more)
                reached.set()
                assert deleted.wait(30)
                return made or inner.create(key, body, **more)

            return create

    worker = threading.Thread(target=process, args=(replace(house.parts, store=Stalled(inner, lambda *_: False, Died, after=False)), OWNER, SOURCE))
    worker.start()
    assert reached.wait(30)
    record = erase.erase(inner, OWNER, SOURCE)
    house.parts.ledger.finish(OWNER, record, house.parts.announcer.cancelled(record), state=State.CANCELLED)
    erase.close(inner, OWNER, SOURCE)
    deleted.set()
    worker.join(30)
    assert house.artifacts() == ["deleted"]
    assert inner.stat(object_key(OWNER, record.upload)) is None
    assert inbox.read(inner, OWNER, SOURCE) is None
    assert len(house.ends()) == 1
    assert b'"code":"cancelled"' in house.ends()[0]
    assert inner.stat(result_key(OWNER, SOURCE, 1)) is None


def test_a_deletion_that_was_cut_short_is_finished_by_the_reconciler(house: House) -> None:
    house.accept()
    erase.bury(house.parts.store, OWNER, SOURCE)
    Reconciler(house.parts, name="me", scan_seconds=0).turn()
    assert house.artifacts() == ["deleted"]
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None
    assert len(house.ends()) == 1


def test_after_a_wipe_the_reconciler_opens_what_is_in_the_inbox_and_stays_silent_on_the_rest(house: House) -> None:
    house.accept()
    process(house.parts, OWNER, SOURCE)
    late = InboxRecord(source_uuid=SourceId("s2"), ws_uuid=CHANNEL, upload=UploadId("u2"), digest="d", size=2, filename="b.txt", base_url="http://here")
    house.parts.store.put(object_key(OWNER, late.upload), b"hi")
    assert inbox.create(house.parts.store, OWNER, late)
    with house.valkey.client(decode_responses=False) as redis:
        redis.flushall()
        reconciler = Reconciler(house.parts, name="me", scan_seconds=0)
        assert reconciler.turn() >= 1
        assert redis.llen("t:headrace.process") >= 1
    process(house.parts, OWNER, SourceId("s2"))
    assert len(house.ends()) == 1
    assert b'"source-uuid":"s2"' in house.ends()[0]


def test_a_redis_that_lost_the_end_is_told_it_again_once(house: House) -> None:
    """AOF everysec: the tail that held the finish is gone, the inbox record too."""
    record = house.accept()
    with house.valkey.client(decode_responses=False) as redis:
        before = {key: redis.dump(key) for key in redis.keys("t:*")}
        process(house.parts, OWNER, SOURCE)
        redis.flushall()
        for key, value in before.items():
            redis.restore(key, 0, value)
    assert house.ends() == []
    assert house.parts.ledger.record(OWNER, SOURCE).state is State.ACCEPTED
    for _ in range(2):
        process(house.parts, OWNER, SOURCE)
        house.assert_one_success()
    assert house.parts.ledger.record(OWNER, record.source_uuid).state is State.SUCCEEDED


def test_a_run_that_only_a_stale_redis_knows_is_forgotten(house: House) -> None:
    record = house.accept()
    inbox.remove(house.parts.store, OWNER, record)
    process(house.parts, OWNER, SOURCE)
    assert house.parts.ledger.record(OWNER, SOURCE) is None
    assert house.ends() == []


def test_over_the_cap_the_run_ends_as_crash(house: House) -> None:
    house.accept()
    for _ in range(3):
        with pytest.raises(Died):
            process(replace(house.parts, store=Stops(house.parts.store, STEPS["artifact"][1], Died, after=False)), OWNER, SOURCE)
        with house.valkey.client(decode_responses=False) as redis:
            redis.hset(f"t:source:{OWNER}~{SOURCE}", "lease", 0)
    process(house.parts, OWNER, SOURCE)
    assert [FAILURES["crash"][0].encode() in end for end in house.ends()] == [True]
    assert outcome(house.parts.store, OWNER, SOURCE).result.code == "crash"


def test_a_failure_that_nobody_foresaw_is_internal_and_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_: object) -> None:
        raise RuntimeError("surprise")

    house.accept()
    monkeypatch.setattr(pipeline.checksum, "run", surprise)
    process(house.parts, OWNER, SOURCE)
    assert b'"code":"internal"' in house.ends()[0]
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None


def test_a_lease_that_was_lost_stops_the_work_and_leaves_it_to_the_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    record = house.accept()
    checksum = pipeline.checksum.run

    def slow(context: Any) -> None:
        assert house.parts.ledger.claim(OWNER, record, fence="other", worker="other", dead_worker=pipeline.this_worker()).kind == "ok"
        lost = threading.Event()
        while not lost.wait(0.01):
            try:
                context.progress("checksum", "", 1)
            except pipeline.LeaseLost:
                raise
        checksum(context)

    monkeypatch.setattr(pipeline.checksum, "run", slow)
    process(replace(house.parts, lease_seconds=0.1), OWNER, SOURCE)
    assert house.ends() == []
    assert inbox.read(house.parts.store, OWNER, SOURCE) is not None


def test_another_owners_source_of_the_same_name_is_another_source(house: House) -> None:
    house.accept()
    process(house.parts, OwnerId("f" * 32), SOURCE)
    assert house.ends() == []
