"""An API process that is told to stop: its sockets go elsewhere, or come back, and miss nothing."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.client import eventually, milestones, until_closed
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
