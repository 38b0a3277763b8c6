"""The four holes of Celery on Redis (docs/adr/0004), one by one: what falls in stays there until a reconciler looks."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pytest_celery import CeleryTestSetup
from redis import Redis

from app.domain.source import InboxRecord
from app.protocol import inbox
from app.settings import Settings
from devstack.process import Command
from tests.celery.container import ProcessContainer
from tests.celery.places import DIES
from tests.celery.producer import Producer
from tests.client import eventually
from tests.stack import Origin


@pytest.fixture(scope="module")
def app_module() -> str:
    return "tests.celery.leaky"


@pytest.fixture(scope="module")
def terms() -> Mapping[str, str]:
    return {"HEADRACE_WORKERS": "2"}  # of which the first, for the fast lane alone, is left out


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as client:
        yield client


@pytest.fixture
def look(commands: dict[str, Command], folder: Path) -> Iterator[Callable[[], None]]:
    """Starts a reconciler; until then there is none."""
    started: list[ProcessContainer] = []

    def start() -> None:
        started.append(ProcessContainer(commands["reconciler"], folder))
        assert started[0].ready()

    yield start
    for container in started:
        container.teardown()


def assert_only_a_reconciler_ends(source: InboxRecord, producer: Producer, look: Callable[[], None]) -> None:
    """Nothing of Celery's brings it back, though the fleet works; and when somebody looks it ends, once."""
    for _ in range(3):
        assert producer.end(producer.accept())["status"] == "success"
        assert producer.waiting() == 0
        assert inbox.read(producer.store, producer.owner, source.source_uuid) is not None
    look()
    assert producer.end(source)["status"] == "success"


def test_a_worker_that_dies_between_taking_a_message_and_noting_it(celery_setup: CeleryTestSetup, producer: Producer, look, folder: Path) -> None:
    noted = producer.unacknowledged()
    (folder / "data" / DIES).touch()
    source = producer.accept()
    eventually(lambda: celery_setup.worker.container.status == "exited")
    assert (producer.waiting(), producer.unacknowledged()) == (0, noted)
    celery_setup.worker.restart()
    assert_only_a_reconciler_ends(source, producer, look)


def test_a_broker_that_restarts_with_messages_that_nobody_acknowledged(celery_setup: CeleryTestSetup, producer: Producer, origin: Origin, look) -> None:
    noted = producer.unacknowledged()
    source = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    celery_setup.broker.kill()
    celery_setup.worker.kill()
    celery_setup.broker.restart()
    celery_setup.worker.restart()
    assert (producer.waiting(), producer.unacknowledged()) == (0, noted + 1)  # until Celery's visibility timeout, hours later
    origin.let_go.set()
    assert_only_a_reconciler_ends(source, producer, look)


def test_a_broker_that_is_wiped_with_messages_waiting(producer: Producer, origin: Origin, look, redis: Redis) -> None:
    busy = producer.accept(url=origin.url("/slow"))
    assert origin.asked.acquire(timeout=30)
    source = producer.accept()
    redis.flushall()
    origin.let_go.set()
    assert producer.end(busy)["status"] == "success"
    assert_only_a_reconciler_ends(source, producer, look)


def test_a_broker_that_is_full_when_a_message_is_taken(celery_setup: CeleryTestSetup, producer: Producer, look, redis: Redis) -> None:
    def refused() -> int:
        return int(redis.info("commandstats").get("cmdstat_hset", {}).get("rejected_calls", 0))

    noted, refused_before = producer.unacknowledged(), refused()
    worker = int(celery_setup.worker.container.id)
    os.kill(worker, signal.SIGSTOP)
    source = producer.accept()
    redis.config_set("maxmemory", "1")
    try:
        os.kill(worker, signal.SIGCONT)
        eventually(lambda: producer.waiting() == 0 and refused() > refused_before)  # it was taken, and the note of it refused
        assert producer.unacknowledged() == noted
    finally:
        redis.config_set("maxmemory", "0")
    assert_only_a_reconciler_ends(source, producer, look)
    assert celery_setup.worker.container.status == "running"
