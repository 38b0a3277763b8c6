"""Whoever can write to the queues, and is none of ours, ends no worker and runs nothing: each message is refused, and counted."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup
from redis import Redis

from app.adapters import pulse
from app.adapters.celery_queue import message
from app.adapters.redis.keys import Keyspace
from app.domain.ids import OwnerId, SourceId
from app.domain.jobs import PROCESS_SOURCE, Lane, ProcessSource
from app.settings import Settings
from tests.celery.producer import Producer
from tests.client import eventually

OURS = json.loads(message(PROCESS_SOURCE, Lane.FAST.queue, ProcessSource(owner=OwnerId("o"), source=SourceId("s"), run=1)))


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.file,))


def forged(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (OURS | changes).items() if value is not None}).encode()


def encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


def test_every_message_that_is_none_of_ours_is_refused_and_counted(
    celery_setup: CeleryTestSetup, producer: Producer, settings: Settings, tmp_path: Path
) -> None:
    trap = tmp_path / "unpickled"
    refused = [
        b"\xff\x00 no json", b"42", b"[]", b'"text"', b"{}", b'{"body": 1, "headers": 2, "properties": 3}', forged(headers=None), forged(properties=None),
        forged(headers=OURS["headers"] | {"task": "os.system"}),
        forged(headers=OURS["headers"] | {"task": None}),
        forged(headers={"task": PROCESS_SOURCE}),
        forged(headers=OURS["headers"] | {"timelimit": 5}),
        forged(**{"content-type": "application/x-yaml"}),
        forged(body=encoded(pickle.dumps(([Harm(trap)], {}, {}))), **{"content-type": "application/x-python-serialize", "content-encoding": "binary"}),
    ]  # fmt: skip
    failing = [
        forged(body=encoded(json.dumps([args, kwargs, {}]).encode())) for args, kwargs in (([], {}), (["x"], {}), ([], {"owner": "../x", "source": "s"}))
    ]
    dropped = [forged(body=encoded(b"{{{")), forged(body="no base64!")]  # by Celery, which says so in the log
    queue = Keyspace(settings.redis_prefix).queue(Lane.FAST.queue)
    with Redis.from_url(settings.redis_url.get_secret_value()) as raw:
        for one in [*refused, *failing, *dropped]:
            raw.lpush(queue, one)
        eventually(lambda: raw.llen(queue) == 0)
        assert producer.end(producer.accept())["status"] == "success"
        eventually(lambda: sum(each.refused for each in pulse.read(settings.pulse_dir)) == len(refused), seconds=30)
        eventually(lambda: producer.unacknowledged() == 0)
    assert [node.container.status for node in celery_setup.worker_cluster] == ["running", "running"]
    assert not trap.exists()
    said = "".join(node.container.logs() for node in celery_setup.worker_cluster)
    assert "refused a message that is none of ours" in said
    assert "os.system" in said


@pytest.mark.parametrize("content", ["pickle", "yaml"])
def test_our_own_settings_take_json_only(content: str) -> None:
    import celeryconfig

    assert content not in celeryconfig.accept_content
    assert {celeryconfig.task_serializer, celeryconfig.event_serializer, *celeryconfig.accept_content, *celeryconfig.result_accept_content} == {"json"}
