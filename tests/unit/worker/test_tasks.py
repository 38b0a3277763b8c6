import json

import pytest

from app.adapters.memory import MemoryObjectStore
from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.domain.errors import Unavailable
from app.domain.layout import inbox_key, result_key
from tests.s3_policy import Permitted
from tests.unit.doubles import ADA, SOURCE, a_record, a_success, announcer
from worker import tasks
from worker.pipeline.run import Parts

JOB = {"schema_": 1, "owner": ADA, "source": SOURCE, "run": 1}


class Ledger(MemoryLedger):
    """Remembers what was deferred; with `away` it cannot be."""

    away = False

    def __init__(self, state):
        super().__init__(state)
        self.deferred = []

    def defer(self, owner, source, *, seconds):
        if self.away:
            raise Unavailable("redis_unavailable")
        self.deferred.append((owner, source, seconds))
        return super().defer(owner, source, seconds=seconds)


@pytest.fixture
def ledger():
    return Ledger(MemoryState())


@pytest.fixture
def store(monkeypatch, ledger, tmp_path):
    made = MemoryObjectStore()
    ours = Parts(
        store=Permitted(made, "worker"), ledger=ledger, fetcher=None, announcer=announcer(), scratch=tmp_path, max_upload_bytes=1000, lease_seconds=30
    )  # fmt: skip
    monkeypatch.setattr(tasks, "parts", lambda _: ours)
    return made


def put(store, record, **changes):
    store.create(inbox_key(ADA, SOURCE), json.dumps(json.loads(record.to_json()) | changes).encode())


def test_a_job_of_a_later_version_is_left_to_a_worker_of_that_version(store, ledger):
    record = a_record()
    put(store, record)
    ledger.accept(ADA, record)
    tasks.process_source(**JOB | {"schema_": 2, "run": "one", "lane": "fast"})
    assert ledger.deferred == [(ADA, SOURCE, tasks.DEFER_SECONDS)]
    assert ledger.due(limit=9) == []
    assert store.keys("inbox/") == [inbox_key(ADA, SOURCE)]


def test_a_record_of_a_later_version_is_not_claimed_and_not_failed(store, ledger):
    record = a_record()
    put(store, record, schema=3, upload={"new": "shape"})
    ledger.accept(ADA, record)
    tasks.process_source(**JOB)
    assert ledger.deferred == [(ADA, SOURCE, tasks.DEFER_SECONDS)]
    assert ledger.record(ADA, SOURCE).attempt == 0
    assert store.keys("sources/") == []


def test_a_result_of_a_later_version_is_not_announced_by_who_cannot_read_it(store, ledger):
    record = a_record()
    put(store, record)
    ledger.accept(ADA, record)
    store.create(result_key(ADA, SOURCE, 1), json.dumps(json.loads(a_success(record).to_json()) | {"schema": 2, "state": "new"}).encode())
    tasks.process_source(**JOB)
    assert ledger.deferred == [(ADA, SOURCE, tasks.DEFER_SECONDS)]
    assert store.keys("inbox/") == [inbox_key(ADA, SOURCE)]


def test_with_redis_away_what_is_newer_waits_for_its_grace(store, ledger):
    ledger.away = True
    tasks.process_source(**JOB | {"schema_": 2})
    assert ledger.deferred == []


def test_what_an_older_version_sent_is_processed(store, ledger):
    """Fields that came since are absent."""
    record = a_record()
    put(store, record)
    ledger.accept(ADA, record)
    store.put(f"objects/{ADA}/{record.upload}", b"abc")
    tasks.process_source(owner=ADA, source=SOURCE, run=1)
    assert store.keys("inbox/") == []
    assert ledger.deferred == []


def test_a_worker_whose_store_was_away_from_the_start_leaves_the_source_open(monkeypatch, caplog):
    def away(_):
        raise Unavailable("storage_unavailable")

    monkeypatch.setattr(tasks, "parts", away)
    tasks.process_source(**JOB)
    assert f"source {SOURCE} stays open" in caplog.text


@pytest.mark.parametrize("payload", [{}, {"it": "not a payload"}, {"schema_": 2}])
def test_what_is_no_job_is_refused(store, ledger, payload):
    with pytest.raises((ValueError, KeyError)):
        tasks.process_source(**payload)
    assert ledger.deferred == []
