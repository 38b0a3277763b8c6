"""A worker meets what a later version wrote: it leaves it to one that can read it, goes on with the rest, and nothing is lost or passed around."""

from __future__ import annotations

import json

import pytest

from app.domain.layout import inbox_key
from app.domain.source import InboxRecord
from tests.celery.producer import Producer
from tests.client import eventually

pytestmark = pytest.mark.usefixtures("reconciler")


def test_a_record_of_a_later_version_waits_for_a_worker_that_can_read_it(producer: Producer, celery_setup) -> None:
    ours = _later(producer)
    eventually(lambda: _said(celery_setup, ours) and producer.unacknowledged() == 0)
    others = [producer.accept() for _ in range(3)]
    assert [producer.end(each)["status"] for each in others] == ["success"] * 3
    live = producer.ledger.record(producer.owner, ours.source_uuid)
    assert live is not None
    assert (live.state, live.attempt) == ("accepted", 0)
    assert _said(celery_setup, ours) == 1, "it is tried once in half a minute"

    # The rollout is done: to workers of its version it is a record like any other. The pause is not waited for here.
    producer.store.put(inbox_key(producer.owner, ours.source_uuid), ours.to_json())
    assert producer.ledger.defer(producer.owner, ours.source_uuid, seconds=0)
    ended = producer.end(ours)
    assert (ended["status"], ended["attempt"]) == ("success", 1)


def _later(producer: Producer) -> InboxRecord:
    """What was accepted by an API process of a later version."""

    def rewrite(record: InboxRecord) -> None:
        theirs = json.loads(record.to_json()) | {"schema": 3, "upload": {"name": record.upload}}
        producer.store.put(inbox_key(producer.owner, record.source_uuid), json.dumps(theirs).encode())

    return producer.accept(before_the_hint=rewrite)


def _said(celery_setup, record: InboxRecord) -> int:
    return sum(node.logs().count(f"source {record.source_uuid} is left to another worker") for node in celery_setup.worker_cluster)
