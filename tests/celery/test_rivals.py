"""Two workers at one source: the first commit wins, its end is said once, and nothing of the other remains."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from pytest_celery import CeleryTestSetup

from app.domain.jobs import PROCESS_SOURCE, ProcessSource
from app.domain.layout import OBJECTS
from app.domain.source import InboxRecord
from tests.celery.producer import Producer
from tests.celery.worker_node import WorkerNode
from tests.client import eventually
from tests.stack import Origin

pytestmark = pytest.mark.usefixtures("reconciler")


@pytest.fixture(scope="module")
def app_module() -> str:
    return "tests.celery.fragile"


class Holder:
    """The process that holds the only open source."""

    def __init__(self, producer: Producer) -> None:
        ((_, worker),) = eventually(producer.ledger.running)
        self._pid = int(worker.split("|")[1])

    def stop(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    @property
    def stopped(self) -> bool:
        return subprocess.run(["ps", "-o", "stat=", "-p", str(self._pid)], capture_output=True, text=True, check=True).stdout.startswith("T")

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)


def fences(producer: Producer, source: InboxRecord) -> set[str]:
    """Whose artifacts there are."""
    return {key.partition("/")[0] for key in producer.kept(source) if "/" in key}


def objects(producer: Producer) -> list[str]:
    return producer.store.keys(f"{OBJECTS}{producer.owner}/")


def test_one_that_comes_back_to_its_commit_finds_that_it_has_lost(
    celery_setup: CeleryTestSetup, producer: Producer, at_work: Callable[[InboxRecord], WorkerNode]
) -> None:
    source = producer.accept(filename="stops.txt")
    loser, node = Holder(producer), at_work(source)
    eventually(lambda: loser.stopped)
    (lost,) = fences(producer, source)
    ended = producer.end(source)
    assert (ended["status"], ended["attempt"]) == ("success", 2)
    committed = producer.result(source)
    assert fences(producer, source) == {lost, committed.fence}
    loser.go_on()
    eventually(lambda: not node.is_at(source))
    assert producer.result(source) == committed
    assert fences(producer, source) == {committed.fence}
    assert producer.end(source) == ended
    assert celery_setup.worker_cluster.ready()


def test_one_that_comes_back_in_the_middle_of_its_work_leaves_it(producer: Producer, origin: Origin, at_work: Callable[[InboxRecord], WorkerNode]) -> None:
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    loser, node = Holder(producer), at_work(source)
    loser.stop()
    assert origin.asked.acquire(timeout=30)  # the lease is over, another one has begun
    origin.let_go.set()
    ended = producer.end(source)
    assert (ended["status"], ended["attempt"]) == ("success", 2)
    loser.go_on()
    eventually(lambda: not node.is_at(source))
    committed = producer.result(source)
    assert committed.attempt == 2
    assert fences(producer, source) == {committed.fence}
    assert objects(producer) == [committed.artifacts["original"].key]
    assert producer.end(source) == ended


def test_a_message_that_comes_five_times_is_one_run(celery_setup: CeleryTestSetup, producer: Producer, origin: Origin) -> None:
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    job = ProcessSource(owner=producer.owner, source=source.source_uuid, run=source.run).model_dump(mode="json")
    for _ in range(4):
        celery_setup.app.send_task(PROCESS_SOURCE, kwargs=job)
    eventually(lambda: producer.waiting() == 0 and producer.unacknowledged() == 1)  # the other worker has seen them all
    origin.let_go.set()
    ended = producer.end(source)
    celery_setup.app.send_task(PROCESS_SOURCE, kwargs=job)
    eventually(lambda: producer.waiting() == producer.unacknowledged() == 0)
    assert producer.end(source) == ended
    assert producer.attempts(source, "claimed") == [1]
    assert len(objects(producer)) == 1
