"""What `headrace doctor` says of a stack that is well, and of one that is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from celery import Celery

from app.domain.jobs import QUEUES
from tests.client import eventually
from tests.servers import Valkey
from tests.stack import ROOT, Stack


def doctor(stack: Stack, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status, and the text of each finding by its level."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | {"HEADRACE_DATA_DIR": str(stack.folder)}
    done = subprocess.run([sys.executable, "-m", "app.cli", "doctor", "--json", *options], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == ("ok" if done.returncode == 0 else "bad")
    levels: dict[str, list[str]] = {"ok": [], "warning": [], "bad": []}
    for each in told["findings"]:
        levels[each["level"]].append(f"{each['part']}: {each['text']}")
    return done.returncode, levels


def test_a_stack_that_is_well_and_then_one_thing_after_another(tmp_path: Path, redis: Valkey) -> None:
    stack = Stack(tmp_path / "stack", redis_url=redis.url, workers="1", stuck_seconds="1", grace_seconds="60").start()
    node = Celery("test", broker=redis.url, set_as_current=False)
    node.config_from_object("celeryconfig")
    node.conf.broker_url = redis.url
    try:
        with stack.client() as client:
            client.wait(client.upload(client.register(), b"words"))
            status, told = eventually(lambda: (found := doctor(stack, "--deployment"))[0] == 0 and found)
            assert told["bad"] == []
            assert told["warning"] == ["redis: no maxmemory is set: when the machine's memory is used up, the kernel ends it"]
            (worker,) = [text for text in told["ok"] if text.startswith("worker ")]
            assert {text.split(":")[0] for text in told["ok"]} == {
                "redis", "storage", "clock of redis", "clock of storage", "api processes", "workers", "reconcilers", worker.split(":")[0],
            }  # fmt: skip

            # The worker lives, answers pings, and takes nothing.
            name = worker.removeprefix("worker ").split(":")[0]
            for queue in QUEUES:
                assert node.control.cancel_consumer(queue, destination=[name], reply=True, timeout=20)
            source = client.upload(client.register(), b"words that wait")
            status, told = eventually(lambda: (found := doctor(stack))[0] == 1 and found)
            assert "1 wait, and nothing was taken for" in told["bad"][0]
            for queue in QUEUES:
                assert node.control.add_consumer(queue, destination=[name], reply=True, timeout=20)
            assert client.wait(source)["state"] == "succeeded"
            eventually(lambda: doctor(stack)[0] == 0)

            # An operator changes what must not be changed.
            with redis.client() as raw:
                raw.config_set("maxmemory", "100mb")
                raw.config_set("maxmemory-policy", "allkeys-lru")
            status, told = doctor(stack, "--deployment")
            assert (status, [text.split(":")[0] for text in told["bad"]]) == (1, ["redis"])
            assert "allkeys-lru" in told["bad"][0]

            redis.kill()
            assert doctor(stack)[0] == 0, "a worker is not ill because Redis is away"
            status, told = doctor(stack, "--deployment")
            assert (status, told["bad"]) == (1, ["redis: Redis did not answer: ConnectionError"])
    finally:
        node.close()
        stack.stop()


def test_a_deployment_that_is_not_described_is_exit_code_2(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | {"HEADRACE_DATA_DIR": str(tmp_path / uuid.uuid4().hex)}
    for more in ({}, {"HEADRACE_REDIS_URL": "redis://127.0.0.1:1"}, {"HEADRACE_STUCK_SECONDS": "never", "HEADRACE_REDIS_URL": "x"}):
        done = subprocess.run([sys.executable, "-m", "app.cli", "doctor"], cwd=ROOT, env=environ | more, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
