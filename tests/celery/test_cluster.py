"""The workers alone, without a reconciler: what they take from the queue, what they refuse, and what is left when they are done."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pytest_celery import CeleryTestSetup

from app.domain.jobs import PROCESS_SOURCE, Lane
from tests.celery.producer import Producer
from tests.client import eventually


def test_the_setup_is_ready_and_every_worker_answers(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(ping=False, control=True, docker=True)
    answers = celery_setup.app.control.ping(timeout=10, limit=2)
    assert sorted(name for answer in answers for name in answer) == sorted(node.hostname() for node in celery_setup.worker_cluster)
    for node in celery_setup.worker_cluster:
        node.assert_log_exists(f"worker ready: {node.hostname()}")


def test_workers_consume_our_queues_only(celery_setup: CeleryTestSetup) -> None:
    for node in celery_setup.worker_cluster:
        queues = celery_setup.app.control.inspect([node.hostname()], timeout=10).active_queues()
        assert [queue["name"] for queue in queues[node.hostname()]] == [lane.queue for lane in Lane]


def test_a_source_ends_once_and_leaves_nothing_open(producer: Producer) -> None:
    sources = [producer.accept(f"document {number}".encode()) for number in range(6)]
    for number, source in enumerate(sources):
        ended = producer.end(source)
        assert (ended["status"], ended["attempt"]) == ("success", 1)
        assert producer.result(source).text.preview == f"document {number}"
        assert len(producer.kept(source)) == 2  # result.json, and the text
    eventually(lambda: producer.waiting() == producer.unacknowledged() == 0)
    assert producer.ledger.running() == []


class Harmful:
    """Whoever unpickles it makes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self._file,)


@pytest.mark.parametrize(
    ("task", "argument", "serializer", "refusal"),
    [
        (PROCESS_SOURCE, "harm", "pickle", "Refusing to deserialize"),
        ("somebody.elses", "words", "json", "Received unregistered task of type 'somebody.elses'"),
        (PROCESS_SOURCE, "not a payload", "json", "validation errors for ProcessSource"),
    ],
    ids=["pickle", "foreign task", "senseless payload"],
)
def test_a_message_that_is_not_ours_is_refused_and_the_workers_live_on(
    celery_setup: CeleryTestSetup, producer: Producer, tmp_path: Path, task: str, argument: str, serializer: str, refusal: str
) -> None:
    harm = tmp_path / "harm"
    celery_setup.app.send_task(task, kwargs={"it": Harmful(harm) if argument == "harm" else argument}, serializer=serializer, queue=Lane.FAST.queue)
    eventually(lambda: any(refusal in node.logs() for node in celery_setup.worker_cluster))
    assert not harm.exists()
    assert producer.end(producer.accept())["status"] == "success"
    eventually(lambda: producer.unacknowledged() == 0)
    assert [node.container.status for node in celery_setup.worker_cluster] == ["running", "running"]


def test_the_harmful_message_would_do_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Harmful(tmp_path / "harm")))  # noqa: S301 - ours
    assert (tmp_path / "harm").exists()
