"""Every command that a server runs, those inside of scripts too, while a test looks."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass
from typing import Self

from redis import Redis
from redis.exceptions import ResponseError

from tests.servers import Valkey

_LINE = re.compile(r"\+\d+\.\d+ \[\d+ (\S+)\] (.*)")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CHANNELS = {"PUBLISH": slice(1, 2), "SUBSCRIBE": slice(1, None), "UNSUBSCRIBE": slice(1, None), "PSUBSCRIBE": slice(1, None), "PUNSUBSCRIBE": slice(1, None)}
_END = "that-was-all"


@dataclass(frozen=True, slots=True)
class Seen:
    client: str
    """Address of the connection; `lua` for what a script did."""
    words: tuple[str, ...]

    def names(self, server: Redis) -> list[str]:
        """The keys, or channels and patterns, that the command is about; the server itself says which of its words are keys."""
        if (channels := _CHANNELS.get(self.words[0].upper())) is not None:
            return list(self.words[channels])
        try:
            return list(server.command_getkeys(*self.words))
        except ResponseError:
            return []


class Monitor:
    """`with Monitor(server) as seen: …`, and then `seen.commands`."""

    def __init__(self, server: Valkey) -> None:
        self.commands: list[Seen] = []
        self._server = server
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self._thread = threading.Thread(target=self._read, name="monitor")

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        self._lines = self._socket.makefile("r", encoding="latin-1", newline="\r\n")
        assert next(self._lines) == "+OK\r\n"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._server.client() as client:
            client.echo(_END)
        self._thread.join(30)
        self._lines.close()
        self._socket.close()

    def _read(self) -> None:
        for line in self._lines:
            match = _LINE.match(line)
            assert match is not None, line
            words = tuple(_WORD.findall(match[2]))
            if words == ("ECHO", _END):
                return
            self.commands.append(Seen(match[1], words))
