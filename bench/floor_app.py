"""The floors: the uvicorn of app/main.py with as little as possible behind it. `python -m bench.floor_app put|durable|parts`, settings as for app.main.

    put      read the body; one obstore PUT into the store (into a folder without fsync: obstore has none); answer
    durable  the same into a folder, then fsync the file and its directory; answer
    parts    hand the body to boto3 in parts of 8 MiB, unsigned, two under way; complete; answer

No form, no key, no digest, no record, no Redis.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore

from app import main as api
from app.adapters import durable
from app.adapters.s3_client import S3Location, boto_client, boto_session, obstore_client
from app.settings import Settings, load

_PART_BYTES = 8 * 1024 * 1024
_UNDER_WAY = 2

Receive = Callable[[], Awaitable[dict[str, Any]]]
Store = Callable[[Receive], Awaitable[None]]


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def putting(settings: Settings) -> Store:
    place: Any
    if settings.storage_url.startswith("file:"):
        place = LocalStore(str(_folder(settings)))
    else:
        location = _location(settings)
        place = obstore_client(boto_session(location), location)

    async def store(receive: Receive) -> None:
        body = b"".join([chunk async for chunk in chunks(receive)])
        await obstore.put_async(place, f"floor/{uuid.uuid4().hex}", body, use_multipart=False)

    return store


def putting_durably(settings: Settings) -> Store:
    folder = _folder(settings)
    place = LocalStore(str(folder))

    def put(body: bytes) -> None:
        name = f"floor/{uuid.uuid4().hex}"
        obstore.put(place, name, body, use_multipart=False)
        for path in (folder / name, folder / "floor"):
            fd = os.open(path, os.O_RDONLY)
            durable.sync(fd)
            os.close(fd)

    async def store(receive: Receive) -> None:
        await asyncio.to_thread(put, b"".join([chunk async for chunk in chunks(receive)]))

    return store


def in_parts(settings: Settings) -> Store:
    location = _location(settings)
    client: Any = boto_client(boto_session(location), location, location.endpoint_url)
    pool = ThreadPoolExecutor(32)

    async def store(receive: Receive) -> None:
        loop = asyncio.get_running_loop()
        where: dict[str, Any] = {"Bucket": location.bucket, "Key": f"floor/{uuid.uuid4().hex}"}
        where["UploadId"] = (await loop.run_in_executor(pool, lambda: client.create_multipart_upload(Bucket=where["Bucket"], Key=where["Key"])))["UploadId"]
        sent: list[asyncio.Future[Any]] = []

        async def send(body: bytearray) -> None:
            if len(sent) >= _UNDER_WAY:
                await sent[-_UNDER_WAY]
            number = len(sent) + 1
            sent.append(loop.run_in_executor(pool, lambda: client.upload_part(PartNumber=number, Body=body, **where)))

        part = bytearray()
        async for chunk in chunks(receive):
            part += chunk
            if len(part) >= _PART_BYTES:
                await send(part)
                part = bytearray()
        if part:
            await send(part)
        parts = [{"PartNumber": number, "ETag": done["ETag"]} for number, done in enumerate(await asyncio.gather(*sent), 1)]
        await loop.run_in_executor(pool, lambda: client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **where))

    return store


def _folder(settings: Settings) -> Path:
    """Beside the API's, on the same disk."""
    folder = Path(f"{urlsplit(settings.storage_url).path}-floor")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _location(settings: Settings) -> S3Location:
    assert settings.s3_access_key_id is not None
    assert settings.s3_secret_access_key is not None
    return S3Location(
        urlsplit(settings.storage_url).netloc, "", settings.s3_endpoint_url, settings.s3_region, settings.s3_access_key_id.get_secret_value(),
        settings.s3_secret_access_key.get_secret_value(),
    )  # fmt: skip


def application(store: Store) -> Callable[[dict[str, Any], Receive, Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]:
    async def answer(scope: dict[str, Any], receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["method"] == "POST":
            await store(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    return answer


FLOORS = {"put": putting, "durable": putting_durably, "parts": in_parts}

if __name__ == "__main__":
    settings = load()
    server = api.server(settings)
    server.config.app = application(FLOORS[sys.argv[1]](settings))
    server.run()
