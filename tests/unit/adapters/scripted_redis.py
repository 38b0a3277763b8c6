"""A server that speaks as much of Redis' protocol as a subscriber hears, and misbehaves on command."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

import hiredis


def bulk(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def acknowledgement(name: bytes, verb: bytes = b"subscribe") -> bytes:
    return b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n" % (len(verb), verb, len(name), name)


class ScriptedRedis:
    """`acknowledges` and `delivers` may be turned off; with a `password` it refuses who has another. `batches` are the SUBSCRIBEs, as they came in."""

    def __init__(self, password: bytes | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.password = password
        self.acknowledges = self.delivers = True
        self.commands: list[list[bytes]] = []
        self.subscribers: dict[asyncio.StreamWriter, set[bytes]] = {}
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"redis{'s' if self._tls else ''}://127.0.0.1:{self.port}/0"

    @property
    def batches(self) -> list[list[bytes]]:
        return [command[1:] for command in self.commands if command[0] == b"SUBSCRIBE"]

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def send(self, data: bytes) -> None:
        """To all who subscribed to anything."""
        for writer in self.subscribers:
            writer.write(data)

    def publish(self, name: bytes, body: bytes) -> None:
        for writer, names in self.subscribers.items():
            if name in names and self.delivers:
                writer.write(bulk(b"message", name, body))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        parser = hiredis.Reader()
        try:
            while data := await reader.read(65536):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    self._answer(command, writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self.subscribers.pop(writer, None)
            writer.close()

    def _answer(self, command: list[bytes], writer: asyncio.StreamWriter) -> None:
        self.commands.append(command)
        verb = command[0].upper()
        if verb == b"AUTH" and command[-1] != self.password:
            writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        elif verb == b"SUBSCRIBE":
            self.subscribers.setdefault(writer, set()).update(command[1:])
            if self.acknowledges:
                writer.write(b"".join(map(acknowledgement, command[1:])))
        elif verb == b"UNSUBSCRIBE":
            self.subscribers[writer].difference_update(command[1:])
            writer.write(b"".join(acknowledgement(name, b"unsubscribe") for name in command[1:]))
        elif verb == b"PUBLISH":
            self.publish(command[1], command[2])
            writer.write(b":1\r\n")
        else:
            writer.write(b"+OK\r\n")
