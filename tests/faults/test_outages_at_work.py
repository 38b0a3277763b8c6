"""Storage or Redis goes away while a worker of the running stack is in the middle of a run: it waits, says so, and no attempt is spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client import Client, ends, eventually, until_closed
from tests.servers import Valkey
from tests.stack import Origin, Stack


def at_work(tmp_path: Path, origin: Origin, **more: str) -> Stack:
    """Its lease is 3 s: shorter than the outages here."""
    return Stack(tmp_path / "stack", import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="1", **more).start()


def assert_done_at_the_first_attempt(client: Client, source: str) -> None:
    shown = client.wait(source)
    assert (shown["state"], shown["attempt"]) == ("succeeded", 1)
    assert "worker lost" not in [moment["what"] for moment in shown["timeline"]]


def test_storage_that_is_away_is_waited_for_and_the_channel_is_told(tmp_path: Path, origin: Origin) -> None:
    stack = at_work(tmp_path, origin)
    objects = tmp_path / "stack" / "store"
    away = objects.with_name("store-away")
    try:
        with stack.client() as client:
            channel = client.register()
            with client.socket(channel) as ws:
                source = client.upload(channel, url=origin.url("/slow"))
                assert origin.asked.acquire(timeout=30)
                objects.rename(away)
                objects.write_bytes(b"not a folder")  # so that it is not simply made again
                origin.let_go.set()
                eventually(lambda: any("trying again" in line for line in stack.output), seconds=30)
                eventually(lambda: sum("trying again" in line for line in stack.output) > 2, seconds=30)
                objects.unlink()
                away.rename(objects)
                events = until_closed(ws)
            assert_done_at_the_first_attempt(client, source)
        waits = [event for event in events if event.get("waiting-for")]
        assert [(wait["waiting-for"], wait["status"], wait["stage"]) for wait in waits] == [("storage", "processing", "fetch")]
        assert [end["status"] for end in ends(events)] == ["success"]
    finally:
        origin.let_go.set()
        stack.stop()


def test_storage_that_stays_away_gives_the_run_back_and_it_goes_on_when_it_is_there(tmp_path: Path, origin: Origin) -> None:
    stack = at_work(tmp_path, origin, outage_seconds="1")
    objects = tmp_path / "stack" / "store"
    away = objects.with_name("store-away")
    try:
        with stack.client() as client:
            channel = client.register()
            source = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            objects.rename(away)
            objects.write_bytes(b"not a folder")
            origin.let_go.set()
            eventually(lambda: any("put back" in line for line in stack.output), seconds=30)
            objects.unlink()
            away.rename(objects)
            assert_done_at_the_first_attempt(client, source)
            assert [end["status"] for end in ends(client.watch(channel))] == ["success"]
            assert "released" in [moment["what"] for moment in client.show(source)["timeline"]]
    finally:
        origin.let_go.set()
        stack.stop()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_redis_that_is_away_for_longer_than_a_lease_costs_no_attempt(tmp_path: Path, origin: Origin, redis: Valkey, how: str) -> None:
    stack = at_work(tmp_path, origin, redis_url=redis.url, inbox_scan_seconds="60")  # the worker itself comes back before anybody looks
    gone, back = (redis.kill, redis.start) if how == "killed" else (redis.freeze, redis.thaw)
    try:
        with stack.client() as client:
            channel = client.register()
            source = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            gone()
            eventually(lambda: any("no heartbeat" in line for line in stack.output), seconds=30)
            origin.let_go.set()  # the rest of the work goes by without Redis
            eventually(lambda: list((tmp_path / "stack" / "store").rglob("result.json*")), seconds=60)
            back()
            assert_done_at_the_first_attempt(client, source)
            eventually(lambda: client.http.get("/readyz").json()["status"] == "ok")  # until then a socket is told to come again
            told = client.watch(channel)
            assert [event.get("stage") for event in told if event["event"] == "source.processing"] == [None, "fetch", "sniff", "extract", "store"]
            assert [end["status"] for end in ends(told)] == ["success"]
    finally:
        redis.thaw()
        origin.let_go.set()
        stack.stop()
