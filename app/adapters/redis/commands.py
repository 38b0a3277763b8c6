"""Commands: questions to Redis from one event loop, over one connection that is opened when first needed, and again when it was lost."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from app.adapters.redis.client import RedisLocation, script, sha
from app.adapters.redis.command_connection import CommandConnection


class Commands:
    """Any number of callers at once. Raises RedisError or OSError; answers are as RESP2 has them, texts are bytes.

    As with redis-py (client.py): a question whose connection was lost is asked once more on a new one, a late answer is an error.
    """

    def __init__(self, location: RedisLocation) -> None:
        self._location = location
        self._connection: CommandConnection | None = None
        self._opening: asyncio.Task[CommandConnection] | None = None
        self._is_closed = False

    async def __call__(self, *command: str | int | bytes) -> Any:
        connection = self._connection
        try:
            if connection is not None and connection.is_open:
                return await connection.ask(*command)
            return await (await self._connected()).ask(*command)
        except RedisConnectionError:
            return await (await self._connected()).ask(*command)

    async def run(self, name: str, keys: list[str], args: list[str | int | bytes]) -> Any:
        """A script of lua/."""
        try:
            return await self("EVALSHA", sha(name), len(keys), *keys, *args)
        except NoScriptError:  # the server is new, or began anew; with the text it keeps the script
            return await self("EVAL", script(name), len(keys), *keys, *args)

    async def _connected(self) -> CommandConnection:
        """Whoever needs a new one meanwhile waits for the same."""
        if self._connection is not None and self._connection.is_open:
            return self._connection
        if self._is_closed:
            raise RedisConnectionError("the process stops")
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # by `close`, and not whoever waits
                raise RedisConnectionError("the process stops") from None
            raise

    async def _connect(self) -> CommandConnection:
        connection = CommandConnection(self._location.timeout_seconds)
        await connection.open(self._location)
        self._connection = connection
        return connection

    def _opened(self, opening: asyncio.Task[CommandConnection]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # told to whoever waited; nobody may have

    async def close(self) -> None:
        """What still waits fails, and so does what comes later."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._connection is not None:
            self._connection.drop()
            self._connection = None
            await asyncio.sleep(0)  # the transport closes in the next turn
