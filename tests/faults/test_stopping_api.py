"""An API process that is told to stop: its sockets go elsewhere, or come back, and miss nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.client import Client, eventually, milestones, until_closed
from tests.faults.api_process import KEY, ApiProcess, Body
from tests.faults.conftest import Bucket
from tests.ports import free_port
from tests.servers import Valkey
from tests.stack import Origin, Stack


def test_sockets_of_a_process_that_stops_are_told_so_and_go_on_where_they_were(tmp_path: Path) -> None:
    with Origin() as origin:
        stack = Stack(tmp_path / "stack", import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), workers="1").start()
        try:
            with stack.client() as client, ExitStack() as opened:
                channel = client.register()
                url = f"ws{client.base_url.removeprefix('http')}/ws/{channel}"
                sockets = [opened.enter_context(connect(url, proxy=None)) for _ in range(3)]
                client.upload(channel, url=origin.url("/slow"))
                assert origin.asked.acquire(timeout=30)
                before = {each: json.loads(each.recv(timeout=30)) for each in sockets}
                assert {event["event"] for event in before.values()} == {"source.accepted"}

                stopped = stack.processes()["api1"]
                os.kill(stopped, signal.SIGTERM)
                for each in sockets:
                    with pytest.raises(ConnectionClosed) as closed:
                        while True:
                            each.recv(timeout=30)
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1012
                eventually(lambda: stack.processes().get("api1") not in (None, stopped))

                origin.let_go.set()
                eventually(lambda: client.http.get("/readyz").json()["status"] == "ok")
                with connect(f"{url}?after={before[sockets[0]]['event-id']}", proxy=None) as again:
                    rest = milestones(until_closed(again))
                told = [before[sockets[0]], *rest]
                assert [int(event["event-id"].partition(":")[2]) for event in told] == list(range(1, len(told) + 1))
                assert told[-1]["status"] == "success"
        finally:
            origin.let_go.set()
            stack.stop()


def test_a_body_that_ends_in_time_is_accepted_by_the_process_that_stops(tmp_path: Path, valkey: Valkey, redis_prefix: str) -> None:
    with ApiProcess(tmp_path, valkey.url, redis_prefix, stop_seconds="60") as api, ExitStack() as opened:
        body = opened.enter_context(closing(Body(api)))
        eventually(lambda: api.drafts() == 1)
        api.process.terminate()
        eventually(lambda: _refuses(api.port))  # it has begun to stop
        assert body.finish().startswith(b"HTTP/1.1 200 ")
        assert api.process.wait(60) == -signal.SIGTERM  # as uvicorn ends
        assert (api.drafts(), len(api.objects())) == (0, 2)


def test_a_body_that_does_not_end_in_time_leaves_nothing(tmp_path: Path, valkey: Valkey, redis_prefix: str) -> None:
    with ApiProcess(tmp_path, valkey.url, redis_prefix, stop_seconds="1") as api, ExitStack() as opened:
        bodies = [opened.enter_context(closing(Body(api))) for _ in range(3)]
        eventually(lambda: api.drafts() == 3)
        api.process.terminate()
        assert api.process.wait(60) == -signal.SIGTERM  # as uvicorn ends
        assert {body.answer()[:12] for body in bodies} == {b"HTTP/1.1 503"}
        assert (api.drafts(), api.objects()) == (0, [])


def test_a_body_that_does_not_end_in_time_leaves_no_parts_in_a_bucket(tmp_path: Path, valkey: Valkey, redis_prefix: str, bucket: Bucket) -> None:
    with ApiProcess(tmp_path, valkey.url, redis_prefix, stop_seconds="1", **bucket.settings) as api, closing(Body(api)) as body:
        eventually(lambda: bucket.transfers() == 1)
        api.process.terminate()
        assert api.process.wait(60) == -signal.SIGTERM
        assert body.answer().startswith(b"HTTP/1.1 503 ")
        assert (bucket.transfers(), [key for key in bucket.objects() if not key.endswith("headrace.json")]) == (0, [])


def test_a_process_that_starts_without_redis_takes_uploads_at_once(tmp_path: Path, redis_prefix: str) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with ApiProcess(tmp_path, nobody, redis_prefix) as api, Client(f"http://127.0.0.1:{api.port}", KEY) as client:
        assert client.http.get("/readyz").json()["away"] == ["redis"]
        source = client.upload(client.register(), b"words")
        assert client.show(source)["state"] == "accepted"


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
