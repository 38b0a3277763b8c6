"""`headrace upload`: several documents over one channel, four at once, each until its end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from app.cli import feed
from app.cli.bars import Bar, bars, told
from app.cli.connection import Connection, Failure, check, plain, reason

AT_ONCE = 4
TRIES = 6
_AGAIN = {429: 60.0, 503: 10.0}
"""Answers that ask for another try, and how many seconds we wait for it at the most."""
_ENDS = {"succeeded": "success", "failed": "failure", "cancelled": "failure"}


class Document:
    """A file or URL on its way. `ended` gets the terminal message."""

    def __init__(self, target: str, bar: Bar) -> None:
        self.target = target
        self.source = str(uuid.uuid4())
        self.bar = bar
        self.ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    @property
    def is_url(self) -> bool:
        return is_url(self.target)

    def take(self, event: dict[str, Any]) -> None:
        if event.get("status") in {"success", "failure"}:
            if not self.ended.done():
                self.ended.set_result(event)
        elif event.get("event") == "source.receiving":
            self.bar.receiving(event)
        elif not self.ended.done():
            self.bar.take(event)

    def give_up(self, error: Failure) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


class _Counted(io.FileIO):
    """A file that tells how much of it was read, and how much there is: httpx streams it."""

    def __init__(self, path: str, seen: Callable[[int, int], None]) -> None:
        super().__init__(path, "rb")
        self._seen = seen
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self._seen(self.tell(), self._size)
        return chunk


def is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


async def upload(connection: Connection, targets: Sequence[str], *, console: Console, as_json: bool) -> bool:
    """Whether every one succeeded. Raises Failure when nothing could be begun."""
    channel = str(uuid.uuid4())
    # JSON mode shows its messages on stdout and no bars at all.
    shown = Console(quiet=True) if as_json else console
    complaints = Console(stderr=True, highlight=False, markup=False)
    with bars(shown) as progress:
        async with connection.client() as client:
            try:
                await feed.register(client, channel, keep_open=True)
            except httpx.HTTPError as error:
                raise Failure(f"{connection.url}: {reason(error)}") from error
            documents = [Document(target, Bar(progress, target if is_url(target) else Path(target).name)) for target in targets]
            reading = asyncio.create_task(_read(connection, client, channel, documents, as_json=as_json))
            free = asyncio.Semaphore(AT_ONCE)
            try:
                good = await asyncio.gather(*(_process(client, channel, document, free, complaints if as_json else None) for document in documents))
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    return all(good)


async def _read(connection: Connection, client: httpx.AsyncClient, channel: str, documents: Sequence[Document], *, as_json: bool) -> None:
    by_source = {document.source: document for document in documents}
    try:
        async for text, event in feed.follow(connection, channel):
            if as_json:
                print(text, flush=True)
            if event.get("recovered") is False:
                # The server has lost a part of the story, perhaps an end: the sources themselves know.
                await asyncio.gather(*(_ask(client, document) for document in documents if not document.ended.done()))
            elif document := by_source.get(str(event.get("source-uuid"))):
                document.take(event)
        over = Failure("the server closed the socket before the end")
    except Failure as error:
        over = error
    for document in documents:
        document.give_up(over)


async def _ask(client: httpx.AsyncClient, document: Document) -> None:
    with contextlib.suppress(httpx.HTTPError, ValueError):
        found = (await client.get(f"/public/sources/{document.source}")).json()
        if status := _ENDS.get(found.get("state")):
            document.take({**found, "status": status, "error": found.get("code")})


async def _process(client: httpx.AsyncClient, channel: str, document: Document, free: asyncio.Semaphore, complaints: Console | None) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with free:
            began = loop.time()
            await _send(client, channel, document)
        event = await document.ended
    except (Failure, OSError) as error:
        said, good = str(error), False
    else:
        good = event["status"] == "success"
        said = told(event.get("result") or {}) if good else f"failed: {event.get('error')} ({event.get('code')})"
    document.bar.end(said, seconds=loop.time() - began, good=good)
    if complaints is not None and not good:
        complaints.print(plain(f"{document.target}: {said}"))
    document.ended.cancel()
    return good


async def _send(client: httpx.AsyncClient, channel: str, document: Document) -> None:
    """Until it is answered. Tried again when the connection breaks or the server asks for it: the same id and bytes get the same answer."""
    for attempt in range(1, TRIES + 1):
        pause = min(0.25 * 2**attempt, 10)
        document.bar.begin()
        try:
            response = await _post(client, channel, document)
        except httpx.TransportError as error:
            problem = reason(error)
        else:
            if response.status_code not in _AGAIN or attempt == TRIES:
                check(response)
                document.bar.received()
                return
            problem = str(response.status_code)
            with contextlib.suppress(ValueError):
                pause = min(float(response.headers.get("Retry-After", pause)), _AGAIN[response.status_code])
        if attempt < TRIES:
            document.bar.note(f"{problem}; trying again")
            await asyncio.sleep(pause)
    raise Failure(f"not sent: {problem}")


async def _post(client: httpx.AsyncClient, channel: str, document: Document) -> httpx.Response:
    fields: list[tuple[str, Any]] = [("ws-uuid", (None, channel)), ("source-uuid", (None, document.source))]
    path = "/public/sources/upload-source"
    if document.is_url:
        return await client.post(path, files=[*fields, ("content", (None, document.target))])
    file = Path(document.target)
    with _Counted(document.target, document.bar.sent) as stream:
        return await client.post(path, files=[*fields, ("filename", (None, file.name)), ("file", (file.name, stream))])
