"""One channel of a house, as its tests write to it and read it."""

from __future__ import annotations

import asyncio
import contextlib

from app.domain.events import SourceProcessing, SourceProgress
from app.domain.position import Position
from tests.unit.doubles import ADA, CHANNEL, SOURCE, House, a_record, a_success, announcer


class Channel:
    """One channel of a house: appends as the ledger's script does, and publishes what it appended."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.seq = 0
        self.record = a_record()

    async def open(self, source: str = SOURCE, **options) -> None:
        await self.house.ledger.register(ADA, CHANNEL, explicit=True, **options)
        self.record = a_record(source)
        await self.house.ledger.accept(ADA, self.record)

    def append(self, *, publish: bool = True) -> int:
        self.seq += 1
        event = SourceProcessing(source_uuid=self.record.source_uuid, run=1, message=f"m{self.seq}", type="file-upload", attempt=1, progress=self.seq % 100)
        self.house.ledger.memory.tell(ADA, self.record, event, 1, self.seq)
        return self.published() if publish else self.head

    async def finish(self, result=None, *, publish: bool = True) -> None:
        result = result or a_success(self.record)
        await self.house.ledger.finish(ADA, self.record, announcer().ended(ADA, result), state=result.state)
        if publish:
            if b'"event":"batch"' in self.stream.stream[-1]:
                self.publish(self.head - 1)
            self.published()

    @property
    def head(self) -> int:
        return len(self.stream.stream)

    @property
    def position(self) -> Position:
        """Of the latest milestone."""
        return Position(self.stream.epoch, self.head)

    @property
    def stream(self):
        return self.house.ledger.memory.channels[ADA, CHANNEL]

    def published(self) -> int:
        """The latest milestone goes to whoever watches."""
        self.publish(self.head)
        return self.head

    def publish(self, offset: int) -> None:
        body = self.stream.stream[offset - 1]
        epoch = body.removeprefix(b'{"event-id":"').partition(b":")[0]
        self.house.feed.publish(ADA, CHANNEL, b"m %d %s %s" % (offset, epoch, body))

    def progress(self, percent: int) -> bytes:
        event = SourceProgress(
            source_uuid=self.record.source_uuid, run=1, message="p", type="file-upload", attempt=1, stage="fetch", progress=percent, stage_progress=0
        )
        body = event.to_json()
        said = b"%d %s %s" % (self.head, self.stream.epoch.encode(), body)
        self.stream.progress[self.record.source_uuid] = said
        self.house.feed.publish(ADA, CHANNEL, b"p " + said)
        return body


async def attach(house, owner, channel, after, outlet):
    """As the endpoint of a socket does."""
    joined, state = await house.subscribe.join(owner, channel)
    await house.subscribe.follow(joined, state, after, outlet)
    return joined


@contextlib.asynccontextmanager
async def reader(house, into: list[bytes], owner=ADA, after=None):
    async def read():
        async with contextlib.aclosing(house.subscribe(owner, CHANNEL, after)) as messages:
            async for message in messages:
                into.append(message)

    task = asyncio.create_task(read())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def milestones(heard: list[bytes]) -> list[bytes]:
    return [message for message in heard if message.startswith(b'{"event-id"')]


async def until(what):
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")
