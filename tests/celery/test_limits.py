"""Sources that would harm the workers for ever: each ends as a failure that says why, and the others go on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pytest_celery import CeleryTestSetup

from tests.celery.producer import Producer
from tests.stack import Origin

ATTEMPTS = 2

pytestmark = pytest.mark.usefixtures("reconciler")


@pytest.fixture(scope="module")
def terms() -> Mapping[str, str]:
    return {"HEADRACE_ATTEMPTS": str(ATTEMPTS), "HEADRACE_TASK_TIMEOUT_SECONDS": "5"}


@pytest.fixture(scope="module")
def app_module() -> str:
    return "tests.celery.fragile"


def test_a_source_that_kills_its_process_each_time_is_given_up(celery_setup: CeleryTestSetup, producer: Producer) -> None:
    poison = producer.accept(filename="kills.txt")
    others = [producer.accept() for _ in range(4)]
    ended = producer.end(poison)
    assert (ended["status"], ended["code"], ended["retryable"]) == ("failure", "crash", False)
    assert producer.attempts(poison, "sniff") == list(range(1, ATTEMPTS + 1))
    assert producer.kept(poison) == ["result.json"]
    assert [producer.end(source)["status"] for source in others] == ["success"] * 4
    assert [node.container.status for node in celery_setup.worker_cluster] == ["running", "running"]


def test_a_source_that_takes_too_long_ends_as_timeout(producer: Producer, origin: Origin) -> None:
    slow = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    other = producer.accept()
    assert producer.end(other)["status"] == "success"
    ended = producer.end(slow)
    assert (ended["status"], ended["code"], ended["retryable"], ended["attempt"]) == ("failure", "timeout", True, 1)
    assert producer.kept(slow) == ["result.json"]
