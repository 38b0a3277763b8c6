"""What is killed, stopped or restarted while sources are being processed, and what must come of them all the same: one end, said once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_celery import CeleryTestSetup

from app.domain.source import InboxRecord
from tests.celery.producer import Producer
from tests.celery.worker_node import WorkerNode
from tests.client import eventually
from tests.stack import Origin

pytestmark = pytest.mark.usefixtures("reconciler")


def test_a_broker_that_restarts_loses_nothing(celery_setup: CeleryTestSetup, producer: Producer, origin: Origin) -> None:
    sources = [producer.accept(url=origin.url("/slow"))]
    assert origin.asked.acquire(timeout=30)
    sources += [producer.accept() for _ in range(5)]
    celery_setup.broker.kill("SIGTERM")
    celery_setup.broker.container.wait()
    sources += [producer.accept() for _ in range(2)]
    celery_setup.broker.restart()
    sources += [producer.accept() for _ in range(5)]
    origin.let_go.set()
    ended = [producer.end(source) for source in sources]
    assert [end["status"] for end in ended] == ["success"] * 13
    eventually(lambda: producer.waiting() == 0)
    assert [producer.end(source) for source in sources] == ended  # and nothing was said again
    assert [node.container.status for node in celery_setup.worker_cluster] == ["running", "running"]


def test_another_node_takes_what_a_killed_one_was_at(
    celery_setup: CeleryTestSetup, producer: Producer, origin: Origin, at_work: Callable[[InboxRecord], WorkerNode]
) -> None:
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    victim = at_work(source)
    victim.kill()
    assert victim.container.status == "exited"
    assert origin.asked.acquire(timeout=30)
    assert at_work(source) is not victim
    origin.let_go.set()
    ended = producer.end(source)
    assert (ended["status"], ended["attempt"]) == ("success", 2)
    assert producer.attempts(source, "worker lost") == [1]


def test_a_worker_that_is_told_to_stop_finishes_what_it_can(producer: Producer, origin: Origin, at_work: Callable[[InboxRecord], WorkerNode]) -> None:
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    stopped = at_work(source)
    stopped.kill("SIGTERM")
    stopped.wait_for_log("Initiating Soft Shutdown")
    origin.let_go.set()
    ended = producer.end(source)
    assert (ended["status"], ended["attempt"]) == ("success", 1)
    stopped.container.wait()
    eventually(lambda: producer.waiting() == 0)
    assert producer.end(source) == ended


def test_a_worker_that_restarts_puts_back_what_it_cannot_finish(
    celery_setup: CeleryTestSetup, producer: Producer, origin: Origin, at_work: Callable[[InboxRecord], WorkerNode]
) -> None:
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    others = [producer.accept() for _ in range(4)]
    restarted = at_work(source)
    restarted.restart()
    assert origin.asked.acquire(timeout=30)
    origin.let_go.set()
    assert [producer.end(each)["status"] for each in (source, *others)] == ["success"] * 5
    assert producer.attempts(source, "released") == [1]
    assert producer.attempts(source, "claimed") == [1, 1]  # a rollout costs no attempt
    assert restarted.container.status == "running"
