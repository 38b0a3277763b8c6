"""Every process of the stack is told to stop, one after the other, while uploads go on: nothing is lost, doubled, or tried twice."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import uuid
from pathlib import Path

import httpx

from tests.client import Client, ends, eventually
from tests.stack import Stack

_PAUSE_SECONDS = 0.05
"""Between two uploads of one client: what is restarted is under load, and not under water."""


class Uploader:
    """Uploads one small file after the other, each until it is answered with 200: what a client does that follows docs/errors.md."""

    def __init__(self, stack: Stack, user: str) -> None:
        self.answered: list[tuple[str, str]] = []
        """(channel, source)"""
        self.refusals: list[str] = []
        self.over = threading.Event()
        self._stack = stack
        self.user = user
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Uploader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(60)

    def _run(self) -> None:
        with self._stack.client(self.user) as client:
            channel = str(uuid.uuid4())
            for number in itertools.count():
                if self.over.wait(_PAUSE_SECONDS):
                    return
                if number % 100 == 0:
                    channel = str(uuid.uuid4())
                source = str(uuid.uuid4())
                while not self._is_taken(client, channel, source, f"words {number}".encode()):
                    pass
                self.answered.append((channel, source))

    def _is_taken(self, client: Client, channel: str, source: str, body: bytes) -> bool:
        try:
            answer = client.try_upload(channel, source, body)
        except httpx.TransportError as error:
            self.refusals.append(type(error).__name__)
            return False
        if answer.status_code != 200:
            self.refusals.append(answer.json()["code"])
        return answer.status_code == 200


def test_rolling_restarts_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", workers="2", api_processes="2", lease_seconds="30").start()
    try:
        with Uploader(stack, "one") as one, Uploader(stack, "two") as two:
            for name in ("api1", "worker1", "api2", "worker2", "reconciler", "api1", "worker1"):
                before = stack.processes()[name]
                done = len(one.answered) + len(two.answered)
                os.kill(before, signal.SIGTERM)
                eventually(lambda name=name, before=before: stack.processes().get(name) not in (None, before))
                eventually(lambda done=done: len(one.answered) + len(two.answered) >= done + 10)
        # A connection that was idle may be closed under the next request; nothing else may happen to a client.
        assert set(one.refusals) | set(two.refusals) <= {"RemoteProtocolError", "ReadError", "WriteError", "stopping"}
        for uploader in (one, two):
            with stack.client(uploader.user) as client:
                for source in (source for _, source in uploader.answered):
                    shown = client.wait(source)
                    assert (shown["state"], shown["attempt"]) == ("succeeded", 1), shown
                for channel in {channel for channel, _ in uploader.answered}:
                    ended = [event["source-uuid"] for event in ends(client.watch(channel))]
                    assert sorted(ended) == sorted(source for of, source in uploader.answered if of == channel)
        eventually(lambda: not [path for path in (stack.folder / "store" / "inbox").rglob("*") if path.is_file()])
        assert list((stack.folder / "store" / "+tmp").iterdir()) == []
    finally:
        stack.stop()
