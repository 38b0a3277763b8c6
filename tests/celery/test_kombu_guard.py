"""The broker goes while a message is not yet acknowledged, and kombu takes the connection from under it. Only with our guard the worker lives."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.adapters.celery_queue import message
from app.adapters.redis.keys import Keyspace
from app.domain.jobs import PROCESS_SOURCE, Lane, ProcessSource
from tests.ledgers import OWNER, SOURCE
from tests.servers import Valkey, eventually, start
from tests.stack import ROOT

QUEUE = Keyspace("headrace:").queue(Lane.FAST.queue)


# Those of the cluster, which this module does without.
@pytest.fixture(autouse=True)
def _whole() -> None:
    pass


@pytest.fixture
def broker() -> Iterator[Valkey]:
    with Valkey(aof=True) as server:
        yield server


def send(redis: Redis) -> None:
    redis.lpush(QUEUE, message(PROCESS_SOURCE, Lane.FAST.queue, ProcessSource(owner=OWNER, source=SOURCE, run=1)))


class Worker:
    def __init__(self, folder: Path, broker: Valkey, *, guard: bool) -> None:
        self.let_go, self.log = folder / "let-go", folder / "log"
        ours = {"HEADRACE_REDIS_URL": broker.url, "SEVERED_GUARD": str(int(guard)), "SEVERED_LET_GO": str(self.let_go)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        argv = [sys.executable, "-m", "celery", "-A", "tests.celery.severed", "worker", "-c", "1", "-l", "info", "--without-mingle", "--without-gossip"]
        with self.log.open("wb") as log:
            self.process = start(argv, cwd=ROOT, env=kept | ours, stdout=log, stderr=log, start_new_session=True)

    def says(self, what: str, times: int = 1) -> None:
        eventually(lambda: self.log.read_text().count(what) >= times or self.process.poll() is not None, seconds=60)
        assert self.process.poll() is None, self.log.read_text()[-4000:]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("guard", [False, True], ids=["without", "with"])
def test_a_worker_lives_through_a_restart_of_the_broker_only_with_the_guard(tmp_path: Path, broker: Valkey, guard: bool) -> None:
    worker = Worker(tmp_path, broker, guard=guard)
    try:
        worker.says(" ready.")
        with broker.client() as redis:
            send(redis)
        worker.says("began")
        broker.kill()
        worker.says("Connection to broker lost")
        worker.let_go.touch()  # now it wants to acknowledge, and has nowhere to
        if not guard:
            assert worker.process.wait(60) == 1
            assert "'NoneType' object has no attribute 'hostname'" in worker.log.read_text()
            return
        worker.says("succeeded")
        broker.start()
        with broker.client() as redis:
            send(redis)
            worker.says("succeeded", times=2)
            assert redis.llen(QUEUE) == 0
    finally:
        worker.let_go.touch()
        worker.end()
