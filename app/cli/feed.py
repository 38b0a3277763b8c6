"""A channel's messages as they come, over dropped connections, without gap or repeat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from app.cli.connection import Connection, Failure, check, reason

_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.5


async def register(client: httpx.AsyncClient, channel: str, *, keep_open: bool) -> None:
    """Opens the channel."""
    check(await client.post("/public/sources/ws", json={"ws-uuid": channel, "keep-open": keep_open}))


async def follow(connection: Connection, channel: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each message, raw and parsed, until the server says that all is told (1000).

    A lost connection is made again, after the last message seen. Raises Failure when that is refused, or fails for so long.
    """
    # The key opens every channel of ours, as often as we come back; a token may be good for one time only.
    address = f"ws{connection.url.removeprefix('http')}/ws/{channel}"
    loop = asyncio.get_running_loop()
    after: str | None = None
    lost_at: float | None = None
    while True:
        try:
            # None: no proxy. True: what the environment says.
            proxy: Literal[True] | None = None if connection.is_local else True
            async with connect(_from(address, after), additional_headers=connection.headers, proxy=proxy, open_timeout=20) as socket:
                lost_at = None
                async for frame in socket:
                    text = frame if isinstance(frame, str) else frame.decode()
                    event = _parse(text)
                    position = event.get("event-id")
                    if position and event.get("event") != "channel.recovered" and _is_old(position, after):
                        continue
                    after = position or after
                    yield text, event
                return
        except InvalidStatus as error:
            status = error.response.status_code
            if status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
                raise Failure(f"the socket was refused ({status})") from error
            problem = f"HTTP {status}"
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake) as error:
            problem = reason(error)
        except InvalidURI as error:
            raise Failure(str(error)) from error
        lost_at = lost_at or loop.time()
        if loop.time() - lost_at > patience_seconds:
            raise Failure(f"the socket was lost: {problem}")
        await asyncio.sleep(_PAUSE_SECONDS)


def _parse(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _is_old(position: str, after: str | None) -> bool:
    """Whether `<epoch>:<offset>` was seen already; a server may tell a reader that came back more than it asked for."""
    epoch, _, offset = position.rpartition(":")
    old_epoch, _, old_offset = (after or "").rpartition(":")
    return epoch == old_epoch and offset.isdigit() and int(offset) <= int(old_offset or 0)


def _from(address: str, after: str | None) -> str:
    if after is None:
        return address
    parts = urlsplit(address)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "after"]
    return parts._replace(query=urlencode([*query, ("after", after)])).geturl()
