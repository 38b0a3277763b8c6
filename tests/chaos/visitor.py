"""A client of the contract: one channel, some uploads to it, and sockets that hear of them, whatever breaks meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.chaos.submission import Submission

ENDS = {"success", "failure"}
ENDED = {"succeeded", "failed", "cancelled"}
PATIENCE_SECONDS = 90
"""For so long an upload that was not answered is tried again."""


@dataclass(slots=True)
class Ear:
    """One reader, over all its connections. It hands its position in when it comes back, and drops what it had by its `event-id`."""

    name: str
    connections: int = 0
    position: str | None = None
    heard: list[tuple[int, float, dict[str, Any]]] = field(default_factory=list)
    """Connection, time, event; without progress."""
    refused: Counter[str] = field(default_factory=Counter)
    is_connected: bool = False
    is_done: bool = False

    def take(self, event: dict[str, Any]) -> None:
        if event["event"] in {"source.progress", "source.receiving"}:
            return
        if event.get("event-id"):
            self.position = event["event-id"]
        elif event["event"] == "channel.recovered":
            self.position = None
        self.heard.append((self.connections, time.time(), event))

    def knows_the_end(self, source: str) -> bool:
        return any(
            event.get("source-uuid") == source and (event.get("status") in ENDS or (event["event"] == "source.snapshot" and event["state"] in ENDED))
            for _, _, event in self.heard
        )


class Visitor:
    def __init__(self, number: int, *, base_url: str, key: str, http: httpx.AsyncClient, import_url, chance: random.Random, keep_open: bool = False) -> None:
        self.user = f"visitor-{number}"
        self.channel = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        self.headers = {"X-API-Key": key, "X-User-ID": self.user}
        self.submissions: list[Submission] = []
        self.room = chance.randint(1, 5)
        self.ears = [Ear(f"reader {n + 1}") for n in range(2 if chance.random() < 0.1 else 1)]
        self.is_complete = asyncio.Event()
        """Nothing more is to come of it: all that it wanted to send is answered or given up."""
        self._keep_open = keep_open
        self._late = chance.random() < 0.25 and not keep_open
        """Opens its sockets after its first upload."""
        self._base_url, self._http, self._import_url = base_url, http, import_url
        self._begun = asyncio.Event()
        self._uploads: list[asyncio.Task[None]] = []
        self._readers = [asyncio.create_task(self._listen(ear)) for ear in self.ears]

    def send(self, submission: Submission) -> None:
        self.submissions.append(submission)
        self._uploads.append(asyncio.create_task(self._submit(submission)))

    @property
    def is_full(self) -> bool:
        return len(self.submissions) >= self.room

    async def finish_sending(self) -> None:
        await asyncio.gather(*self._uploads)
        self.is_complete.set()

    async def stop(self) -> None:
        for task in (*self._readers, *self._uploads):
            task.cancel()
        await asyncio.gather(*self._readers, *self._uploads, return_exceptions=True)

    # ---------------------------------------------------------------------------------------------- sending

    async def _submit(self, submission: Submission) -> None:
        await self._register()
        if self._late:
            await self._upload(submission)
            self._begun.set()
        else:
            self._begun.set()
            await self._upload(submission)

    async def _register(self) -> None:
        if self._begun.is_set():
            return
        for _ in range(20):
            try:
                answer = await self._http.post("/public/sources/ws", json={"ws-uuid": self.channel, "keep-open": self._keep_open}, headers=self.headers)
                if answer.status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if self._late:
                return  # the first upload registers as well
            await asyncio.sleep(0.5)

    async def _upload(self, submission: Submission) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while submission.answered_at is None and time.monotonic() < deadline:
            tries = [self._try(submission) for _ in range(2 if submission.twice else 1)]
            if any(await asyncio.gather(*tries)):
                submission.answered_at = time.time()
                submission.body = None  # thousands of them are kept
                return
            await asyncio.sleep(1)

    async def _try(self, submission: Submission) -> bool:
        fields: list[tuple[str, Any]] = [("ws-uuid", (None, self.channel)), ("source-uuid", (None, submission.source))]
        if submission.path is not None:
            fields.append(("content", (None, self._import_url(submission.path))))
        else:
            fields.append(("file", (submission.filename, submission.body)))
        try:
            answer = await self._http.post("/public/sources/upload-source", files=fields, headers=self.headers)
        except httpx.HTTPError as error:
            submission.answers.append((time.time(), type(error).__name__))
            return False
        submission.answers.append((time.time(), f"{answer.status_code} {answer.text[:200] if answer.status_code != 200 else ''}"))
        return answer.status_code == 200

    # ---------------------------------------------------------------------------------------------- reading

    async def _listen(self, ear: Ear) -> None:
        """Until the server has said that all is told, and nothing more is to come."""
        await self._begun.wait()
        while not ear.is_done:
            complete = self.is_complete.is_set()
            told = await self._hear(ear)
            ear.is_done = told and complete
            if not ear.is_done:
                await asyncio.sleep(0.5)

    async def _hear(self, ear: Ear) -> bool:
        """One connection; whether the server closed it because all is told."""
        ear.connections += 1
        after = f"?after={ear.position}" if ear.position else ""
        url = f"ws{self._base_url.removeprefix('http')}/ws/{self.channel}{after}"
        try:
            async with connect(url, additional_headers=self.headers, max_size=None, proxy=None, compression=None, open_timeout=20) as socket:
                ear.is_connected = True
                while True:
                    ear.take(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            return closed.rcvd is not None and closed.rcvd.code == 1000
        except InvalidHandshake as refused:
            response = getattr(refused, "response", None)
            ear.refused[str(response.status_code) if response is not None else type(refused).__name__] += 1
        except (OSError, TimeoutError) as error:
            ear.refused[type(error).__name__] += 1
        finally:
            ear.is_connected = False
        return False
