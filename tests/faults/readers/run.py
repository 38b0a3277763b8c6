"""One run: the writers write, the clients come and go, all goes wrong; then what each client heard is compared with its channel."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from redis import Redis

from app.adapters.redis.keys import Keyspace
from app.domain.ids import ChannelId
from tests.faults.readers.client import WHO, Client
from tests.faults.readers.stage import PREFIX, Stage
from tests.faults.readers.verdict import Book, Story
from tests.faults.readers.writer import OWNER, Writer

_WRITERS = 2


@dataclass(frozen=True)
class Run:
    kind: str
    """sockets, or streams"""
    seed: int
    seconds: float = 60
    readers: int = 200
    channels: int = 40
    each_second: float = 150
    """Steps of each of the two writers; a step is a milestone, and a progress before it."""
    lost_tails: bool = False
    book: Book = field(default_factory=Book)
    faults: Counter[str] = field(default_factory=Counter)
    farewells: Counter[str] = field(default_factory=Counter)

    def play(self) -> None:
        with Stage(self.seed, lost_tails=self.lost_tails) as stage:
            channels = [ChannelId(str(uuid.uuid4())) for _ in range(self.channels)]
            for channel in channels:
                answer = httpx.post(f"{stage.urls[0]}/public/sources/ws", json={"ws-uuid": channel}, headers=WHO, trust_env=False, timeout=30)
                assert answer.status_code == 200, answer.text
            writers = [Writer(stage.folder, stage.redis.url, channels[number::_WRITERS], self.seed + number) for number in range(_WRITERS)]
            clients = [
                Client(self.kind, stage.urls, channels[number % self.channels], Story(self.book, lost_tails=self.lost_tails), self.seed + number)
                for number in range(self.readers)
            ]
            asyncio.run(self._play(stage, writers, clients))
            self._judge(stage, writers, clients)
            for writer in writers:
                writer.ledger.close()
            self.faults.update(stage.faults)

    async def _play(self, stage: Stage, writers: list[Writer], clients: list[Client]) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.run(over))
            writing = [tasks.create_task(asyncio.to_thread(writer.write, self.seconds, self.each_second)) for writer in writers]
            await stage.suffer(self.seconds)
            await asyncio.wait(writing)
            over.set()

    def _judge(self, stage: Stage, writers: list[Writer], clients: list[Client]) -> None:
        ended = {channel: set(sources) for writer in writers for channel, sources in writer.ended.items()}
        histories = {channel: history(stage.redis.url, channel) for writer in writers for channel in writer.ended}
        for events in histories.values():
            for event in events:
                self.book.enter(event)
        for client in clients:
            client.story.close(histories[client.channel], ended[client.channel])
            self.farewells.update(client.farewells)

    @property
    def figures(self) -> dict[str, int]:
        return {**self.book.counts, **self.faults, **{f"ended by {name}": count for name, count in sorted(self.farewells.items()) if count}}


def history(redis_url: str, channel: ChannelId) -> list[dict[str, Any]]:
    """What the channel has in the end, as Redis keeps it."""
    with Redis.from_url(redis_url) as redis:
        return [json.loads(fields[b"d"]) for _, fields in redis.xrange(Keyspace(PREFIX).stream(OWNER, channel))]
