"""The protocol of a source, stopped before and after each of its steps: real store, real Redis, a worker's own code.

A stop is a `Died` raised out of the store or the ledger, after which nothing of that attempt runs on, as after a SIGKILL.
"""

from __future__ import annotations

import asyncio
import errno
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.folder import FolderObjectStore
from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.commands import Commands
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import AsyncRedisLedger, RedisLedger
from app.domain.errors import FAILURES, Conflict, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId, UploadId, new_fence, owner_id
from app.domain.layout import dead_key, inbox_key, object_key, result_key, runs_prefix, source_prefix
from app.domain.lease import this_worker
from app.domain.source import InboxRecord, State
from app.protocol import erase, inbox
from app.protocol.announce import Announcer
from app.protocol.deliver import Deliver
from app.protocol.outcome import outcome
from app.services.accept import Accept
from app.services.conclude import Conclude
from app.services.offload import Offload
from app.services.owed import Owed
from app.services.runs import Runs
from tests.s3_policy import Permitted
from tests.servers import Valkey, eventually
from worker.isolation.inline import Inline
from worker.pipeline import run as pipeline
from worker.pipeline.run import Parts, process
from worker.reconcile.reconciler import Reconciler

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

    def __call__(self, *args: Any) -> Any:
        return self.__getattr__("__call__")(*args)

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

    def accept(self, body: bytes = WORDS, *, inline: bool = True) -> InboxRecord:
        """`inline`: the bytes travel in the record, as few do."""
        record = InboxRecord(source_uuid=SOURCE, ws_uuid=CHANNEL, upload=UploadId("u1"), digest="d1", size=len(body), filename="a.txt", base_url="http://here")
        if inline:
            record = record.packed(body)
        else:
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
    with Valkey(aof=True) as valkey:
        ledger = RedisLedger(BlockingCommands(RedisLocation(valkey.url)), Calls(Keyspace("t:"), Terms(grace_seconds=0.01)))
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        store = FolderObjectStore(tmp_path / "store")
        announcer = Announcer(["s" * 32], timedelta(days=1), lambda: datetime.now(UTC))
        yield House(
            Parts(Permitted(store, "worker"), ledger, NoFetcher(), announcer, scratch, 1 << 30, lease_seconds=30, outage_seconds=0, parser=Inline()), valkey
        )
        ledger.close()
        store.close()


def is_commit(name: str, args: tuple) -> bool:
    return name == "create" and args[0].endswith("/result.json")


STEPS: dict[str, tuple[str, Callable[[str, tuple], bool]]] = {
    "claim": ("ledger", lambda name, _: name == "claim"),
    "first milestone": ("ledger", lambda name, _: name == "append"),
    "unpacked": ("store", lambda name, args: name == "put" and args[0].startswith("objects/")),
    "bytes": ("store", lambda name, _: name == "path"),
    "artifact": ("store", lambda name, args: name == "put" and args[0].endswith("text.txt")),
    "marker": ("store", lambda name, args: name == "put" and args[0].startswith("channels/")),
    "commit": ("store", is_commit),
    "delivery": ("deliver", lambda name, _: name == "__call__"),
    "finish": ("ledger", lambda name, _: name == "finish"),
    "inbox away": ("store", lambda name, args: name == "delete" and args[0][0].startswith("inbox/")),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("step", "inline"), [*((step, True) for step in STEPS), *((step, False) for step in STEPS if step != "unpacked")])
def test_a_death_around_any_step_ends_in_one_success(house: House, step: str, inline: bool, after: bool) -> None:
    house.accept(inline=inline)
    where, when = STEPS[step]
    stops = Stops(getattr(house.parts, where), when, Died, after=after)
    with pytest.raises(Died):
        process(replace(house.parts, **{where: stops}), OWNER, SOURCE)
    assert stops.stopped
    house.recover()
    house.assert_one_success()
    process(house.parts, OWNER, SOURCE)  # a hint that comes too late changes nothing
    house.assert_one_success()


class Backend:
    """Hears of ends before the channel does. Its own death is the worker's."""

    name = "backend"

    def __init__(self, house: House) -> None:
        self.house = house
        self.heard: list[str] = []
        self.ends_before: list[int] = []

    def deliver(self, delivery: Any) -> None:
        self.ends_before.append(len(self.house.ends()))
        self.heard.append(delivery.key)


def test_a_backend_has_heard_of_the_end_before_the_channel_also_when_the_worker_dies_in_mid_delivery(house: House) -> None:
    backend = Backend(house)
    parts = replace(house.parts, deliver=Deliver([backend]))
    house.accept()
    dying = Stops(parts.deliver, lambda name, _: name == "__call__", Died, after=True)
    with pytest.raises(Died):
        process(replace(parts, deliver=dying), OWNER, SOURCE)
    assert house.ends() == []
    house.parts = parts
    house.recover()
    house.assert_one_success()
    assert backend.heard == [f"{OWNER}/{SOURCE}/1"] * 2, "at least once, with the same key"
    assert backend.ends_before == [0, 0]
    process(parts, OWNER, SOURCE)
    assert len(backend.heard) == 2, "an end that was said is not delivered again"


def test_a_failure_is_delivered_and_a_backend_that_refuses_does_not_hold_up_the_end(house: House) -> None:
    class Refusing(Backend):
        def deliver(self, delivery: Any) -> None:
            super().deliver(delivery)
            raise ConnectionError

    backend = Refusing(house)
    house.parts = replace(house.parts, deliver=Deliver([backend], seconds=0.2))
    house.accept(b"")
    process(house.parts, OWNER, SOURCE)
    assert b'"code":"empty"' in house.ends()[0]
    assert len(house.ends()) == 1
    assert set(backend.heard) == {f"{OWNER}/{SOURCE}/1"}
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None


class TooLong(Exception):
    """What the task runner raises when the time is over."""


def stage_that(monkeypatch: pytest.MonkeyPatch, stage: str, does: Callable[[Any], None]) -> None:
    monkeypatch.setattr(getattr(pipeline, stage), "run", does)


def overrun(*_: Any) -> None:
    raise TooLong


def test_a_run_that_takes_too_long_is_given_back_and_goes_on_later_without_an_attempt_spent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.accept()
    parts = replace(house.parts, timeouts=(TooLong,))
    with monkeypatch.context() as patched:
        stage_that(patched, "checksum", overrun)
        process(parts, OWNER, SOURCE)
    live = house.parts.ledger.record(OWNER, SOURCE)
    assert (live.state, live.attempt, house.ends(), house.artifacts()) == (State.ACCEPTED, 0, [], [])
    process(parts, OWNER, SOURCE)
    house.assert_one_success()
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 1


def test_a_run_that_takes_too_long_again_and_again_ends_as_timeout(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.accept()
    stage_that(monkeypatch, "checksum", overrun)
    for _ in range(3):
        process(replace(house.parts, timeouts=(TooLong,)), OWNER, SOURCE)
        assert house.ends() == []
    process(replace(house.parts, timeouts=(TooLong,)), OWNER, SOURCE)
    assert b'"code":"timeout"' in house.ends()[0]
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.code, result.spent, result.attempt) == ("timeout", True, 1)
    assert house.parts.store.get(result.artifacts["original"].key) == WORDS, "for a retry"


def test_a_reader_that_takes_too_long_fails_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.accept()
    stage_that(monkeypatch, "extract", overrun)
    process(replace(house.parts, timeouts=(TooLong,)), OWNER, SOURCE)
    assert b'"code":"timeout"' in house.ends()[0]
    assert outcome(house.parts.store, OWNER, SOURCE).result.spent is False


def test_time_that_went_by_in_an_outage_is_not_held_against_the_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.accept()
    parts = replace(house.parts, store=Stops(house.parts.store, STEPS["marker"][1], Unavailable, after=False), timeouts=(TooLong,), outage_seconds=60)
    monkeypatch.setattr(pipeline.Heartbeat, "pause", overrun)
    for _ in range(5):
        process(parts, OWNER, SOURCE)
    assert house.ends() == []
    monkeypatch.undo()
    process(house.parts, OWNER, SOURCE)
    house.assert_one_success()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("why", ["stopped", "too long"])
def test_a_death_around_a_release_ends_in_one_success(house: House, monkeypatch: pytest.MonkeyPatch, why: str, after: bool) -> None:
    house.accept()

    def stop(_: Any) -> None:
        raise SystemExit if why == "stopped" else TooLong

    ledger = Stops(house.parts.ledger, lambda name, _: name == "release", Died, after=after)
    with monkeypatch.context() as patched:
        stage_that(patched, "checksum", stop)
        with pytest.raises(Died):
            process(replace(house.parts, ledger=ledger, timeouts=(TooLong,)), OWNER, SOURCE)
    assert ledger.stopped
    house.recover()
    house.assert_one_success()


@pytest.mark.parametrize("step", ["unpacked", "bytes", "artifact", "marker", "commit", "inbox away"])
def test_an_outage_of_the_store_that_ends_is_waited_for_and_said(house: House, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    house.accept()
    refusals = [0]

    def first_three(name: str, args: tuple) -> bool:
        if not STEPS[step][1](name, args):
            return False
        refusals[0] += 1
        return refusals[0] <= 3

    monkeypatch.setattr(pipeline.Heartbeat, "pause", lambda *_: None)
    monkeypatch.setattr(pipeline.time, "sleep", lambda *_: None)
    process(replace(house.parts, store=Stops(house.parts.store, first_three, Unavailable, after=True), outage_seconds=60), OWNER, SOURCE)
    house.assert_one_success()
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 1
    with house.valkey.client() as redis:
        said = [fields["d"] for _, fields in redis.xrange(f"t:events:{OWNER}~{CHANNEL}") if '"waiting-for":"storage"' in fields["d"]]
    assert len(said) == (step != "inbox away"), "after the end there is nothing more to say"


def test_the_lease_of_a_worker_that_is_dead_on_this_host_is_taken_at_once(house: House) -> None:
    record = house.accept()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    host, _, started = this_worker().split("|")
    gone.wait()
    assert house.parts.ledger.claim(OWNER, record, fence=new_fence(), worker=f"{host}|{gone.pid}|{started}").kind == "ok"
    process(house.parts, OWNER, SOURCE)
    house.assert_one_success()
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 2


def test_a_lease_of_another_host_is_respected(house: House) -> None:
    record = house.accept()
    assert house.parts.ledger.claim(OWNER, record, fence=new_fence(), worker="elsewhere|1|1").kind == "ok"
    process(house.parts, OWNER, SOURCE)
    assert house.ends() == []


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_without_redis_the_work_goes_on_and_its_story_is_told_whole_when_it_is_back(house: House, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    house.accept()
    checksum = pipeline.checksum.run
    gone, back = (house.valkey.kill, house.valkey.start) if how == "killed" else (house.valkey.freeze, house.valkey.thaw)

    def in_an_outage(context: Any) -> None:
        gone()
        checksum(context)

    def committed(name: str, args: tuple) -> bool:
        if is_commit(name, args):
            back()
        return False

    stage_that(monkeypatch, "checksum", in_an_outage)
    process(replace(house.parts, store=Stops(house.parts.store, committed, Died, after=False), outage_seconds=60), OWNER, SOURCE)
    house.assert_one_success()
    with house.valkey.client() as redis:
        told = [json.loads(fields["d"]) for _, fields in redis.xrange(f"t:events:{OWNER}~{CHANNEL}")]
    stages = [event.get("stage") for event in told]
    assert stages == [None, None, "sniff", "extract", "store", None]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["unpacked", "artifact", "marker", "commit"])
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
        assert reconciler.turn()["opened"] == 1
        assert redis.llen("t:headrace.fast") >= 1
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


def test_the_reconciler_leaves_a_later_version_s_record_alone_and_goes_on_behind_it(house: House) -> None:
    for name, text in (("a-newer", b'{"schema": 99}'), ("b-broken", b"{")):
        house.parts.store.create(inbox_key(OWNER, SourceId(name)), text)
    house.accept()
    with house.valkey.client() as redis:
        redis.flushall()
    Reconciler(house.parts, name="me", scan_seconds=0).turn()
    assert house.parts.ledger.record(OWNER, SOURCE) is not None
    assert len(house.parts.store.keys("inbox/")) == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["folder", "checksum", "store"])
def test_a_disk_that_is_full_in_any_stage_gives_the_run_back(house: House, monkeypatch: pytest.MonkeyPatch, where: str, number: int) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, "no room")

    house.accept()
    with monkeypatch.context() as patched:
        if where == "folder":
            patched.setattr("tempfile.mkdtemp", full)
        else:
            stage_that(patched, where, full)
        process(house.parts, OWNER, SOURCE)
    live = house.parts.ledger.record(OWNER, SOURCE)
    assert live is not None
    assert (live.state, live.attempt) == (State.ACCEPTED, 0)
    assert house.artifacts() == []
    process(house.parts, OWNER, SOURCE)
    house.assert_one_success()


# ------------------------------------------------------------------------------------------------ cancel and retry


class Office:
    """The API's side of the same store and Redis, which dies where it is told to."""

    def __init__(self, house: House) -> None:
        self.house = house

    def __call__(self, call: str, step: str = "", *, after: bool = False) -> None:
        asyncio.run(self._run(call, step, after=after))

    async def _run(self, call: str, step: str, *, after: bool) -> None:
        ledger = AsyncRedisLedger(Commands(RedisLocation(self.house.valkey.url)), Calls(Keyspace("t:"), Terms(grace_seconds=0.01)))
        offload = Offload(2)
        where, when = (STEPS | OFFICE_STEPS).get(step, ("", lambda *_: False))
        store: Any = Stops(self.house.parts.store, when if where == "store" else lambda *_: False, Died, after=after)
        wired: Any = Stops(ledger, when if where == "ledger" else lambda *_: False, Died, after=False)
        if where == "ledger" and after:

            class After(Stops):
                def __getattr__(self, name: str) -> Any:
                    real = getattr(self._inner, name)

                    async def call(*args: Any, **kwargs: Any) -> Any:
                        answer = await real(*args, **kwargs)
                        if when(name, args):
                            raise Died
                        return answer

                    return call

            wired = After(ledger, when, Died, after=True)
        conclude = Conclude(store, wired, offload, self.house.parts.announcer)
        runs = Runs(store, wired, offload, conclude, Accept(store, wired, offload, self.house.parts.announcer, Owed(wired), conclude))
        try:
            if call == "cancel":
                await runs.cancel(OWNER, SOURCE)
            else:
                await runs.retry(OWNER, SOURCE, run=1, base_url="http://here", also_succeeded=call == "reprocess")
        finally:
            offload.close()
            await ledger.close()


OFFICE_STEPS: dict[str, tuple[str, Callable[[str, tuple], bool]]] = {
    "accept": ("ledger", lambda name, _: name == "accept"),
    "claim of the id": ("store", lambda name, args: name == "create" and args[0].startswith("inbox/")),
}


def settle(house: House) -> None:
    """The reconciler looks, and a worker takes what is open."""
    Reconciler(house.parts, name="me", scan_seconds=0).turn()
    process(house.parts, OWNER, SOURCE)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["commit", "finish", "inbox away"])
def test_a_death_around_any_step_of_a_cancellation_leaves_one_end(house: House, step: str, after: bool) -> None:
    house.accept()
    with pytest.raises(Died):
        Office(house)("cancel", step, after=after)
    settle(house)
    committed = step != "commit" or after
    assert outcome(house.parts.store, OWNER, SOURCE).result.state is (State.CANCELLED if committed else State.SUCCEEDED)
    assert len(house.ends()) == 1
    assert (b'"code":"cancelled"' in house.ends()[0]) is committed
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["claim of the id", "accept"])
def test_a_death_around_any_step_of_a_retry_leaves_one_run_more_or_none(house: House, step: str, after: bool) -> None:
    house.accept()
    Office(house)("cancel")
    with pytest.raises(Died):
        Office(house)("retry", step, after=after)
    settle(house)
    begun = step == "accept" or after
    assert outcome(house.parts.store, OWNER, SOURCE).result.run == 1 + begun
    Office(house)("retry")
    settle(house)
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.run, result.state) == (2, State.SUCCEEDED)
    assert len(house.ends()) == 2


@pytest.mark.parametrize("ends", ["succeeded", "failed", "cancelled"])
def test_the_stored_bytes_of_a_url_are_read_and_not_fetched_and_outlive_whatever_the_run_comes_to(
    house: House, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    record = InboxRecord(
        source_uuid=SOURCE, ws_uuid=CHANNEL, run=2, upload=UploadId("u1"), digest="d1", size=len(WORDS), filename="a.txt", base_url="http://here",
        url="http://origin.example/a.txt", stored=True,
    )  # fmt: skip
    house.parts.store.put(object_key(OWNER, record.upload), WORDS)
    assert inbox.create(house.parts.store, OWNER, record)
    house.parts.ledger.accept(OWNER, record)

    def fails(*_: Any) -> None:
        if ends == "cancelled":
            Office(house)("cancel")
        else:
            raise RuntimeError

    if ends != "succeeded":
        stage_that(monkeypatch, "store", fails)
    process(house.parts, OWNER, SOURCE)
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.state, result.url, result.stored) == (State(ends), record.url, True)
    assert house.parts.store.get(result.artifacts["original"].key) == WORDS


def texts(house: House) -> list[str]:
    return [key.split("/")[4] for key in house.parts.store.keys(runs_prefix(OWNER, SOURCE)) if key.endswith("/text.txt")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["claim of the id", "accept"])
def test_a_death_around_any_step_of_a_reprocess_leaves_one_run_more_or_none_and_something_to_read(house: House, step: str, after: bool) -> None:
    house.accept()
    process(house.parts, OWNER, SOURCE)
    with pytest.raises(Died):
        Office(house)("reprocess", step, after=after)
    assert texts(house) == ["1"]
    settle(house)
    assert texts(house) == (["2"] if step == "accept" or after else ["1"])
    Office(house)("reprocess")
    settle(house)
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.run, result.state, texts(house)) == (2, State.SUCCEEDED, ["2"])
    assert len(house.ends()) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "unpacked"])
def test_a_worker_and_a_redis_that_die_anywhere_in_a_reprocess_leave_something_to_read(house: House, step: str, after: bool) -> None:
    house.accept()
    process(house.parts, OWNER, SOURCE)
    Office(house)("reprocess")
    where, when = STEPS[step]
    with pytest.raises(Died):
        process(replace(house.parts, **{where: Stops(getattr(house.parts, where), when, Died, after=after)}), OWNER, SOURCE)
    found = outcome(house.parts.store, OWNER, SOURCE).result
    assert found is not None
    assert str(found.run) in texts(house)
    with house.valkey.client() as redis:
        redis.flushall()
    settle(house)
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.run, result.state, set(texts(house))) == (2, State.SUCCEEDED, {"2"}), "what the dead attempt made is swept later"
    assert house.parts.store.get(result.artifacts["text"].key) == WORDS
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None
    assert len(house.ends()) == ((step, after) != ("inbox away", True)), "what was said before the wipe is not said again"
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None


@pytest.mark.parametrize("stage", ["fetch", "checksum", "extract", "store"])
def test_cancelled_in_a_stage_the_work_stops_and_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    house.accept()
    done = []

    def long(context: Any) -> None:
        Office(house)("cancel")
        eventually(context.check)
        done.append(stage)

    stage_that(monkeypatch, stage, long)
    process(replace(house.parts, lease_seconds=0.2), OWNER, SOURCE)
    assert done == [], "check() ended it"
    assert [b'"code":"cancelled"' in end for end in house.ends()] == [True]
    assert house.artifacts() == ["result.json"]
    assert inbox.read(house.parts.store, OWNER, SOURCE) is None
    assert list(house.parts.scratch.iterdir()) == []


@pytest.mark.parametrize("first", ["the cancellation", "the worker"])
def test_a_race_of_a_cancellation_with_a_success_has_one_outcome(house: House, first: str) -> None:
    house.accept()
    inner = house.parts.store
    raced = []

    class Racing(Stops):
        def __getattr__(self, name: str) -> Any:
            if name != "create":
                return getattr(inner, name)

            def create(key: str, body: bytes, **more: Any) -> bool:
                made = first == "the worker" and inner.create(key, body, **more)
                try:
                    Office(house)("cancel")
                except Conflict as error:
                    raced.append(error.code)
                return made or inner.create(key, body, **more)

            return create

    process(replace(house.parts, store=Racing(inner, lambda *_: False, Died, after=False)), OWNER, SOURCE)
    assert len(house.ends()) == 1
    if first == "the worker":
        assert raced == ["already_ended"]
        house.assert_one_success()
    else:
        assert b'"code":"cancelled"' in house.ends()[0]
        assert house.artifacts() == ["result.json"]
        assert outcome(inner, OWNER, SOURCE).result.state is State.CANCELLED


def test_a_cancellation_outlives_a_wipe_in_the_middle_of_the_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.accept()
    checksum = pipeline.checksum.run

    def wiped(context: Any) -> None:
        Office(house)("cancel")
        with house.valkey.client() as redis:
            redis.flushall()
        checksum(context)

    stage_that(monkeypatch, "checksum", wiped)
    process(replace(house.parts, lease_seconds=30), OWNER, SOURCE)
    settle(house)
    assert outcome(house.parts.store, OWNER, SOURCE).result.state is State.CANCELLED
    assert len(house.ends()) <= 1
    assert house.artifacts() == ["result.json"]


def test_a_dead_letter_is_marked_before_it_is_committed_and_run_again_with_all_its_attempts(house: House) -> None:
    house.accept()
    with house.valkey.client() as redis:
        redis.hset(f"t:source:{OWNER}~{SOURCE}", "attempt", 3)
    stops = Stops(house.parts.store, is_commit, Died, after=False)
    with pytest.raises(Died):
        process(replace(house.parts, store=stops), OWNER, SOURCE)
    assert house.parts.store.keys("dead/") == [dead_key(OWNER, SOURCE)]
    house.recover()
    result = outcome(house.parts.store, OWNER, SOURCE).result
    assert (result.code, result.spent) == ("crash", True)
    Office(house)("retry")
    assert house.parts.store.keys("dead/") == []
    process(house.parts, OWNER, SOURCE)
    assert outcome(house.parts.store, OWNER, SOURCE).result.attempt == 1
    assert [b'"status":"success"' in end for end in house.ends()] == [False, True]
