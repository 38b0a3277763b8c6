"""A client of the contract for tests: what an existing client does, and nothing that it could not do."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Event = dict[str, Any]


class Client:
    def __init__(self, base_url: str, api_key: str, user: str = "user") -> None:
        self.base_url = base_url
        self.http = httpx.Client(base_url=base_url, headers={"X-API-Key": api_key, "X-User-ID": user}, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def register(self, channel: str | None = None, **more: Any) -> str:
        channel = channel or str(uuid.uuid4())
        answer = self.http.post("/public/sources/ws", json={"ws-uuid": channel, **more})
        assert answer.status_code == 200, answer.text
        return channel

    def upload(self, channel: str, body: bytes | None = None, *, source: str | None = None, filename: str = "a.txt", url: str | None = None) -> str:
        source = source or str(uuid.uuid4())
        answer = self.try_upload(channel, source, body, filename=filename, url=url)
        assert (answer.status_code, answer.json()) == (200, {"message": f"Processing file: {source}"}), answer.text
        return source

    def try_upload(self, channel: str, source: str, body: bytes | None = None, *, filename: str = "a.txt", url: str | None = None) -> httpx.Response:
        fields: list[tuple[str, Any]] = [("ws-uuid", (None, channel)), ("source-uuid", (None, source))]
        if url is not None:
            fields.append(("content", (None, url)))
        if body is not None:
            fields.append(("file", (filename, body)))
        return self.http.post("/public/sources/upload-source", files=fields)

    @contextmanager
    def socket(self, channel: str, path: str = "/ws/") -> Iterator[ClientConnection]:
        with connect("ws" + self.base_url.removeprefix("http") + path + channel, max_size=None, proxy=None, compression=None) as socket:
            yield socket

    def watch(self, channel: str, path: str = "/ws/", *, seconds: float = 60) -> list[Event]:
        """Everything that a socket tells until the server closes it with 1000."""
        with self.socket(channel, path) as socket:
            return until_closed(socket, seconds=seconds)

    def show(self, source: str) -> Event:
        answer = self.http.get(f"/public/sources/{source}")
        assert answer.status_code == 200, answer.text
        shown: Event = answer.json()
        return shown

    def wait(self, source: str, *, seconds: float = 60) -> Event:
        """The source once it has ended."""
        return eventually(lambda: (shown := self.show(source))["state"] in {"succeeded", "failed", "cancelled"} and shown, seconds=seconds)


def until_closed(socket: ClientConnection, *, seconds: float = 60) -> list[Event]:
    events = []
    deadline = time.monotonic() + seconds
    while (closed := _take(socket, events, deadline)) is None:
        pass
    assert closed.rcvd is not None, "the connection broke"
    assert closed.rcvd.code == 1000, closed
    return events


def _take(socket: ClientConnection, events: list[Event], deadline: float) -> ConnectionClosed | None:
    try:
        events.append(json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic()))))
    except ConnectionClosed as closed:
        return closed
    return None


def milestones(events: list[Event]) -> list[Event]:
    return [event for event in events if event["event"] != "source.progress"]


def ends(events: list[Event]) -> list[Event]:
    return [event for event in events if event.get("status") in {"success", "failure"}]


def eventually(look: Callable[[], Any], *, seconds: float = 60) -> Any:
    """The first true thing that `look` answers."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
