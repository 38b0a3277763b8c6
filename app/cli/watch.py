"""`headrace watch`: a channel's messages, one a line, until the server closes it."""

from __future__ import annotations

from app.cli import feed
from app.cli.connection import Connection


async def watch(connection: Connection, channel: str) -> None:
    async for text, _ in feed.follow(connection, channel):
        print(text, flush=True)
