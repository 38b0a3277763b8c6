"""`headrace watch`: a channel's messages, one a line, until the server closes it."""

from __future__ import annotations

import uuid

import httpx

from app.cli import feed
from app.cli.connection import Connection, Failure, reason


async def watch(connection: Connection, channel: str) -> None:
    address = feed.built(connection, channel)
    if not _is_random_uuid(channel):
        # Such a name needs the token that registering gives.
        try:
            async with connection.client() as client:
                address = await feed.register(client, channel, keep_open=False)
        except httpx.HTTPError as error:
            raise Failure(f"{connection.url}: {reason(error)}") from error
    async for text, _ in feed.follow(address, connection):
        print(text, flush=True)


def _is_random_uuid(name: str) -> bool:
    try:
        parsed = uuid.UUID(name)
    except ValueError:
        return False
    return parsed.version == 4 and str(parsed) == name
