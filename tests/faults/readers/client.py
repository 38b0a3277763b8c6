"""A client that comes and goes: over a socket, or as an event stream."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from app.domain.ids import ChannelId
from tests.faults.readers.stage import KEY
from tests.faults.readers.verdict import Story

_LAST_SECONDS = 90
WHO = {"X-API-Key": KEY, "X-User-ID": "chaos"}


class Client:
    def __init__(self, kind: str, urls: list[str], channel: ChannelId, story: Story, seed: int) -> None:
        self.channel, self.story = channel, story
        self._kind, self._urls = kind, urls
        self._random = random.Random(seed)
        self.farewells: Counter[str] = Counter()
        """How its sessions ended, other than by itself."""

    async def run(self, over: asyncio.Event) -> None:
        """Comes and goes until `over`, then stays until the channel has nothing more to tell."""
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(0.05, 3)):
                    await self._session()
            await asyncio.sleep(self._random.uniform(0, 0.3))
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                while not await self._session():
                    await asyncio.sleep(self._random.uniform(0, 0.3))
        except TimeoutError:
            self.story.strand()

    async def _session(self) -> bool:
        """True when the channel was over."""
        self.story.begin(anew=self.story.position is None or self._random.random() < 0.1)
        listen = self._listen if self._kind == "sockets" else self._stream
        try:
            return await listen(self._random.choice(self._urls), self.story.position)
        except InvalidStatus as refused:
            self.farewells[f"refused {refused.response.status_code}"] += 1
        except (OSError, EOFError, InvalidHandshake, ConnectionClosed) as error:
            self.farewells[type(error).__name__] += 1
        return False

    async def _listen(self, url: str, after: str | None) -> bool:
        address = f"ws{url.removeprefix('http')}/ws/{self.channel}" + (f"?after={after}" if after else "")
        opened = await connect(address, proxy=None, open_timeout=30, ping_interval=None, close_timeout=1, compression=None)
        try:
            async for message in opened:
                self.story.hear(json.loads(message))
            self.farewells[str(opened.close_code)] += opened.close_code != 1000
            return opened.close_code == 1000
        finally:
            opened.transport.abort()  # clients lose their network more often than they say goodbye

    async def _stream(self, url: str, after: str | None) -> bool:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        headers = WHO | {"Host": f"{host}:{port}"} | ({"Last-Event-ID": after} if after else {})
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET /public/channels/{self.channel}/events HTTP/1.1\r\n{head}\r\n".encode())
        try:
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
            if status != 200:
                self.farewells[f"refused {status}"] += 1
                return False
            kind = ""
            async for line in _lines(reader):
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "end":
                    return True
                elif name == "data":
                    self.story.hear(json.loads(value))
            self.farewells["no end"] += 1
        finally:
            writer.transport.abort()
        return False


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """Of a chunked body. Raises IncompleteReadError when it breaks off."""
    left = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        *lines, left = (left + (await reader.readexactly(size + 2))[:-2]).split(b"\n")
        for line in lines:
            yield line.decode()
