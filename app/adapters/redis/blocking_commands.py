"""BlockingCommands: questions to Redis from threads. Whoever asks has a connection for himself meanwhile; it is kept for the next one.

redis-py opens a connection and carries what it says. Its client in front of that costs as much CPU for each question as all the rest.
"""

from __future__ import annotations

from typing import Any

import hiredis
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry

from app.adapters.redis.client import RedisLocation, script, sha


class BlockingCommands:
    """Any number of threads at once, in the process that asked first. Raises RedisError or OSError; answers are as RESP2 has them, texts are bytes.

    As commands.py: a question whose connection was lost is asked once more on a new one, a late answer is an error.
    """

    def __init__(self, location: RedisLocation) -> None:
        self._pool = ConnectionPool.from_url(location.url, protocol=2, retry=Retry(NoBackoff(), 0), **location.options)
        self._idle: list[Any] = []

    def __call__(self, *command: str | int | bytes) -> Any:
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub names a tuple of one
        try:
            return self._ask(packed)
        except RedisConnectionError:
            self.close()  # what broke one has broken the others
            return self._ask(packed)

    def run(self, name: str, keys: list[str], args: list[str | int | bytes]) -> Any:
        """A script of lua/."""
        call = ("EVALSHA", sha(name), len(keys), *keys, *args)
        try:
            return self(*call)
        except NoScriptError:  # the server is new, or began anew
            self("SCRIPT", "LOAD", script(name))
            return self(*call)

    def close(self) -> None:
        """Those that nobody asks on just now."""
        while self._idle:
            self._idle.pop().disconnect()

    def _ask(self, packed: bytes) -> Any:
        try:
            connection: Any = self._idle.pop()
        except IndexError:
            # Not by `make_connection`: the pool counts what it makes, and after a hundred that were lost it would make no more.
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            connection.send_packed_command([packed], check_health=False)
            answer = connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:  # a part of the answer may be on its way
            connection.disconnect()
            raise
        self._idle.append(connection)
        return answer
