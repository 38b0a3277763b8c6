"""Cancelled and run again, on the running stack: what the channel hears, what the worker does, and that all of it is in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import ends, eventually, until_closed
from tests.stack import Origin, Stack


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Stack]:
    """With one worker, so that whoever holds it up holds up all."""
    settings = {"import_allow_nets": "127.0.0.0/8", "import_ports": str(origin.port), "workers": "1"}
    running = Stack(tmp_path_factory.mktemp("cancel") / "stack", **settings).start()
    yield running
    origin.let_go.set()
    running.stop()


def in_the_inbox(stack: Stack) -> list[Path]:
    return [path for path in (stack.folder / "store" / "inbox").rglob("*") if path.is_file()]


def test_a_fetch_is_stopped_the_worker_is_free_and_a_retry_succeeds(stack: Stack, origin: Origin) -> None:
    with stack.client() as client:
        channel = client.register()
        with client.socket(channel) as ws:
            source = client.upload(channel, url=origin.url("/slow"))
            assert origin.asked.acquire(timeout=30)
            waiting = client.upload(client.register(), b"in the queue")
            answer = client.http.post(f"/public/sources/{source}/cancel")
            assert (answer.status_code, answer.json()["state"], answer.json()["code"]) == (200, "cancelled", "cancelled")
            events = until_closed(ws)
        assert [(end["status"], end["code"], end["error"]) for end in ends(events)] == [("failure", "cancelled", "The source was cancelled")]
        assert client.wait(waiting)["state"] == "succeeded", "the origin says nothing still, so the worker has left it"
        assert not origin.let_go.is_set()
        assert client.http.post(f"/public/sources/{waiting}/cancel").json()["code"] == "already_ended"
        origin.let_go.set()
        client.register(channel)
        with client.socket(channel) as ws:
            answer = client.http.post(f"/public/sources/{source}/retry", params={"run": 1})
            assert (answer.status_code, answer.json()["run"]) == (200, 2)
            events = until_closed(ws)
        assert [(end["status"], end["run"]) for end in ends(events)] == [("success", 2)]
        shown = client.show(source)
        assert (shown["state"], shown["run"], shown["result"]["text"]["preview"]) == ("succeeded", 2, "slow words")
        assert client.http.post(f"/public/sources/{source}/retry").json()["code"] == "already_succeeded"
        eventually(lambda: not in_the_inbox(stack))


def test_what_succeeded_is_read_again_and_stands_meanwhile(stack: Stack, origin: Origin) -> None:
    with stack.client("rereader") as client:
        file, imported = client.upload(client.register(), b"words of a file"), client.upload(client.register(), url=origin.url("/report.pdf"))
        for source in (file, imported):
            assert client.wait(source)["result-run"] == 1
        fetched = len(origin.fetched)
        answer = client.http.post(f"/public/sources/{file}/reprocess", params={"run": 1})
        assert (answer.status_code, answer.json()["run"], answer.json()["result"]["text"]["preview"]) == (200, 2, "words of a file")
        assert client.http.post(f"/public/sources/{file}/reprocess", params={"run": 1}).json()["run"] == 2, "the same call again"
        eventually(lambda: client.show(file)["result-run"] == 2)
        began = client.http.post("/public/sources/reprocess", json={"media-types": ["application/pdf"]})
        assert began.json() == {"sources": [{"source-uuid": imported, "status": 200}]}
        shown = eventually(lambda: (shown := client.show(imported))["result-run"] == 2 and shown)
        assert (shown["state"], shown["run"], shown["result"]["pages"], len(origin.fetched)) == ("succeeded", 2, 2, fetched)
        eventually(lambda: not in_the_inbox(stack))
        for source in (file, imported):
            texts = [path.parts[-3] for path in (stack.folder / "store").rglob("text.txt=") if source in path.parts]
            assert texts == ["2"], "what the first run made has gone"
        assert client.http.get(f"/public/sources/{imported}/original").content.startswith(b"%PDF")
    with stack.client("stranger") as stranger:
        assert stranger.http.post(f"/public/sources/{file}/reprocess").status_code == 404
        assert stranger.http.post("/public/sources/reprocess", json={}).json() == {"sources": []}
        refused = stranger.http.post("/public/sources/reprocess", json={"medai-types": ["image/*"]})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field")


def test_a_source_deleted_in_mid_fetch_frees_the_worker_too(stack: Stack, origin: Origin) -> None:
    origin.let_go.clear()
    while origin.asked.acquire(blocking=False):
        pass
    with stack.client() as client:
        channel = client.register()
        source = client.upload(channel, url=origin.url("/slow"))
        assert origin.asked.acquire(timeout=30)
        assert client.http.delete(f"/public/sources/{source}").status_code == 204
        assert client.wait(client.upload(client.register(), b"the next"))["state"] == "succeeded"
        assert [end["code"] for end in ends(client.watch(channel))] == ["cancelled"]
        eventually(lambda: not in_the_inbox(stack))
