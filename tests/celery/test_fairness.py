"""One owner's backlog and another owner's small file, on real workers: who is served when. No clock decides, only the order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from app.domain.jobs import Lane, lane_of
from app.domain.source import InboxRecord
from app.settings import Settings
from tests.celery.producer import Producer
from tests.client import eventually
from tests.documents import pdf
from tests.stack import Origin

BACKLOG = 120
TURNS = 8


@pytest.fixture(scope="module")
def terms() -> Mapping[str, str]:
    return {"HEADRACE_TURNS_PER_OWNER": str(TURNS), "HEADRACE_GRACE_SECONDS": "60"}


@pytest.fixture
def other(settings: Settings, producer: Producer) -> Producer:
    with Producer(settings, "another owner") as made:
        yield made


def ended(producer: Producer, records: list[InboxRecord]) -> int:
    """How many of them."""
    opened = {name.partition("~")[2] for name in producer.store.names("inbox/") if name.startswith(producer.owner)}
    return sum(record.source_uuid not in opened for record in records)


def test_a_small_file_overtakes_another_owners_backlog_of_its_own_lane(producer: Producer, other: Producer, origin: Origin) -> None:
    document = pdf(["some words"])
    backlog = [producer.accept(document, filename=f"{n}.pdf") for n in range(BACKLOG)]
    assert producer.waiting() <= TURNS
    before = ended(producer, backlog)
    small = other.accept(document, filename="small.pdf")
    other.end(small)
    served = ended(producer, backlog) - before
    assert served <= 3 * TURNS, "those that were handed out before it, and what ended while we looked"
    eventually(lambda: ended(producer, backlog) == BACKLOG, seconds=120)
    assert {producer.result(record).state for record in backlog} == {"succeeded"}
    eventually(lambda: producer.waiting() == producer.unacknowledged() == 0)
    assert producer.ledger.queueing() == []


def test_no_lane_starves_while_another_one_is_full(producer: Producer, other: Producer, origin: Origin) -> None:
    """The workers take from the lanes in turn: what is slow or bulk does not wait for all that is fast, nor the other way round."""
    fast = [producer.accept(b"some words") for _ in range(BACKLOG)]
    slow = other.accept(url=origin.url("/report.pdf"))
    large = other.accept(b"x" * (65 << 20), filename="large.bin")
    assert [lane_of(record) for record in (fast[0], slow, large)] == list(Lane)
    other.end(slow)
    other.end(large)
    assert ended(producer, fast) < BACKLOG
    eventually(lambda: ended(producer, fast) == BACKLOG, seconds=120)


def test_who_waits_is_called_by_the_end_of_another(producer: Producer, origin: Origin, at_work: Callable) -> None:
    """Both children are held; nothing of the backlog is looked at before they are let go, and no reconciler is there to help."""
    held = [producer.accept(url=origin.url("/slow")) for _ in range(TURNS + 4)]
    for _ in range(2):
        assert origin.asked.acquire(timeout=30)
    assert producer.ledger.queueing() == [(producer.owner, Lane.SLOW)]
    origin.let_go.set()
    assert [producer.end(record)["status"] for record in held] == ["success"] * len(held)
    assert producer.ledger.queueing() == []
