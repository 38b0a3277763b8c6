"""What dies under the running stack, and what must come of the upload all the same: one success, said once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from app.cli import processes
from tests.client import Client, ends, eventually, milestones, until_closed
from tests.ports import free_port
from tests.servers import Valkey
from tests.stack import ROOT, Origin, Stack


def importing(tmp_path: Path, origin: Origin, **more: str) -> Stack:
    return Stack(tmp_path / "stack", import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="1", **more)


def kill(stack: Stack, what: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "app.cli", "dev", "kill", what],
        cwd=ROOT,
        env=os.environ | {"HEADRACE_DATA_DIR": str(stack.folder)},
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("victim", ["child", "worker"])
def test_a_killed_worker_loses_nothing(tmp_path: Path, origin: Origin, victim: str) -> None:
    stack = importing(tmp_path, origin).start()
    try:
        with stack.client() as client:
            channel = client.register()
            with client.socket(channel) as ws:
                source = client.upload(channel, url=origin.url("/slow"))
                assert origin.asked.acquire(timeout=30)  # the worker is in the middle of it
                kill(stack, victim)
                assert origin.asked.acquire(timeout=60)  # another one has begun
                origin.let_go.set()
                events = until_closed(ws)
            assert [end["status"] for end in ends(events)] == ["success"]
            assert events[-1]["attempt"] == 2
            percents = [event["progress"] for event in events if "progress" in event]
            assert percents == sorted(percents)
            shown = client.show(source)
            assert shown["state"] == "succeeded"
            assert "worker lost" in [moment["what"] for moment in shown["timeline"]]
            assert_nothing_open(stack)
    finally:
        origin.let_go.set()
        stack.stop()


def assert_nothing_open(stack: Stack) -> None:
    """The inbox is empty: everything that was accepted was said."""
    eventually(lambda: not [path for path in (stack.folder / "store" / "inbox").rglob("*") if path.is_file()], seconds=20)


def test_an_upload_while_redis_is_away_is_accepted_and_finished_later(tmp_path: Path, redis: Valkey) -> None:
    stack = Stack(tmp_path / "stack", redis_url=redis.url, workers="1").start()
    try:
        with stack.client() as client:
            redis.kill()
            channel, source = str(uuid.uuid4()), str(uuid.uuid4())
            client.upload(channel, b"while redis is away", source=source)
            assert client.http.get("/readyz").json()["status"] == "degraded"
            assert client.show(source)["state"] == "accepted"
            redis.start()
            assert client.wait(source)["state"] == "succeeded"
            assert [end["status"] for end in ends(client.watch(channel))] == ["success"]
    finally:
        stack.stop()


def test_a_wiped_redis_loses_nothing_and_repeats_nothing(tmp_path: Path, redis: Valkey, origin: Origin) -> None:
    stack = importing(tmp_path, origin, redis_url=redis.url).start()
    try:
        with stack.client() as client:
            done = client.upload(client.register(), b"done before")
            client.wait(done)
            assert_nothing_open(stack)
            channel = client.register()
            open_source = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            waiting = client.upload(channel, b"still in the queue")
            with redis.client() as client_of_redis:
                client_of_redis.flushall()
            origin.let_go.set()
            for source in (open_source, waiting):
                assert client.wait(source)["state"] == "succeeded"
            events = client.watch(channel)
            assert sorted(end["source-uuid"] for end in ends(events)) == sorted([open_source, waiting])
            shown = client.show(done)
            assert shown["state"] == "succeeded"
            assert client.try_upload(channel, done, b"other bytes").status_code == 409
            with stack.client("a-stranger") as stranger:
                assert stranger.http.post("/public/sources/ws", json={"ws-uuid": shown["ws-uuid"]}).status_code == 404
            assert_nothing_open(stack)
    finally:
        stack.stop()


def test_a_store_that_refuses_is_503_and_nothing_is_accepted(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", workers="1").start()
    objects = tmp_path / "stack" / "store"
    try:
        with stack.client() as client:
            channel, source = client.register(), str(uuid.uuid4())
            away = objects.with_name("store-away")
            objects.rename(away)
            objects.write_bytes(b"not a folder")  # so that it is not simply made again
            answer = client.try_upload(channel, source, b"words")
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert int(answer.headers["retry-after"]) > 0
            objects.unlink()
            away.rename(objects)
            assert client.http.get(f"/public/sources/{source}").status_code == 404
            client.upload(channel, b"words", source=source)
            assert client.wait(source)["state"] == "succeeded"
    finally:
        stack.stop()


def test_the_stack_stops_whole_and_goes_on_where_it_was(tmp_path: Path, origin: Origin) -> None:
    stack = importing(tmp_path, origin).start()
    pids = list(stack.processes().values())
    with stack.client() as client:
        channel = client.register()
        source = client.upload(channel, url=origin.url("/slow"))
        assert origin.asked.acquire(timeout=30)
    assert stack.stop() < 15
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    origin.let_go.set()
    stack.start()
    try:
        with stack.client() as client:
            assert client.wait(source)["state"] == "succeeded"
            assert [end["status"] for end in ends(client.watch(channel))] == ["success"]
    finally:
        stack.stop()


def test_nothing_outlives_a_supervisor_that_is_killed_and_the_next_one_goes_on(tmp_path: Path, origin: Origin) -> None:
    stack = importing(tmp_path, origin).start()
    with stack.client() as client:
        done, channel = client.upload(client.register(), b"done before"), client.register()
        client.wait(done)
        source = client.upload(channel, url=origin.url("/slow"))
        assert origin.asked.acquire(timeout=30)  # a worker's child is in the middle of it, and asks nobody whether its parent lives
    family = processes.descendants(stack.process.pid)
    assert {each.pid for each in family} > set(stack.processes().values())
    stack.process.kill()
    stack.process.wait()
    eventually(lambda: not any((now := processes.look(each.pid)) and now.started == each.started for each in family))
    origin.let_go.set()
    stack.start()
    try:
        with stack.client() as client:
            assert client.wait(source)["state"] == "succeeded"
            # Redis has kept what it knew, or this were a first attempt.
            assert [(end["status"], end["attempt"]) for end in ends(client.watch(channel))] == [("success", 2)]
            assert client.show(done)["state"] == "succeeded"
    finally:
        stack.stop()


def test_two_stacks_and_a_foreign_celery_app_share_a_redis(tmp_path: Path, redis: Valkey) -> None:
    foreign = redis.client(decode_responses=False)
    foreign.lpush("celery", b"a foreign message")
    foreign.set("unacked", b"foreign")
    same = str(uuid.uuid4())
    stacks = [Stack(tmp_path / name, redis_url=redis.url, redis_prefix=f"{name}:", deployment=name, workers="1").start() for name in ("one", "two")]
    try:
        sources = {}
        for stack in stacks:
            with stack.client() as client:
                client.register(same)
                channel = same
                sources[stack] = client.upload(channel, stack.folder.name.encode(), source="same-id")
        for stack in stacks:
            with stack.client() as client:
                assert client.wait("same-id")["result"]["text"]["preview"] == stack.folder.name
                assert len(ends(client.watch(same))) == 1
        keys = {key.decode() for key in foreign.keys("*")}
        assert {key for key in keys if not key.startswith(("one:", "two:"))} == {"celery", "unacked"}
        assert foreign.lrange("celery", 0, -1) == [b"a foreign message"]
    finally:
        foreign.close()
        for stack in stacks:
            stack.stop()


def test_a_sigkilled_api_process_comes_back_and_the_upload_goes_on(tmp_path: Path, origin: Origin) -> None:
    stack = importing(tmp_path, origin).start()
    try:
        with stack.client() as client:
            channel = client.register()
            source = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            os.kill(stack.processes()["api1"], signal.SIGKILL)
            origin.let_go.set()
        with Client(stack.base_url, stack.api_key, "e2e") as client:
            assert client.wait(source)["state"] == "succeeded"
            told = milestones(client.watch(channel))
            assert [int(event["event-id"].rpartition(":")[2]) for event in told] == list(range(1, len(told) + 1))
    finally:
        stack.stop()


def test_uploads_while_redis_is_frozen_are_answered_at_the_cost_of_one_timeout_and_finished_later(tmp_path: Path, redis: Valkey) -> None:
    metrics = free_port()
    # Nobody else enqueues: no inbox is listed in time, and no grace is over.
    stack = Stack(tmp_path / "stack", redis_url=redis.url, workers="1", metrics_port=str(metrics), inbox_scan_seconds="3600").start()
    try:
        with stack.client() as client:
            warm = client.register()
            client.wait(client.upload(warm, b"before"))
            redis.freeze()
            channel = client.register(expect=21)
            sources = [client.upload(channel, b"while redis is frozen") for _ in range(20)]
            large = client.upload(channel, bytes(3 * 1024 * 1024))  # holds its channel, and tells of its receipt
            told = client.http.get("/readyz")
            assert (told.status_code, told.json()["away"]) == (200, ["redis"])
            waited = {name: value(metrics, f"headrace_redis_breaker_{name}") for name in ("trips_total", "refused_total")}
            assert waited["trips_total"] == 1
            assert waited["refused_total"] >= 2 * len(sources)
            redis.thaw()
            assert {client.wait(source)["state"] for source in [*sources, large]} == {"succeeded"}
            assert [end["status"] for end in ends(client.watch(channel))] == ["success"] * 21
            eventually(lambda: client.http.get("/readyz").json()["status"] == "ok")
            assert value(metrics, "headrace_owed") == 0
    finally:
        redis.thaw()
        stack.stop()


def value(port: int, name: str) -> float:
    """Of a metric without labels."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])
