"""Whatever happens to a channel and to those who read it: within an epoch a reader gets exactly the history from its position, or is told that it cannot."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import NotFound
from app.domain.position import Position
from app.protocol import inbox
from app.services import hub, subscribe
from tests.unit.doubles import ADA, CHANNEL, House
from tests.unit.services.channel import Channel

STEPS = st.lists(
    st.one_of(
        st.sampled_from(["append", "append unheard", "finish", "lose", "wait", "wipe", "cut"]),
        st.tuples(st.just("join"), st.none() | st.integers(0, 30)),
    ),
    max_size=30,
)


@dataclass
class Reader:
    after: Position | None
    mark: int
    epoch: str
    heard: list[dict] = field(default_factory=list)
    task: asyncio.Task | None = None

    async def read(self, house: House) -> None:
        async with aclosing(house.subscribe(ADA, CHANNEL, self.after)) as messages:
            async for message in messages:
                self.heard.append(json.loads(message))

    def check(self, histories: dict[str, list[bytes]]) -> Position:
        """Every milestone is the one that its position says, and follows the one before, unless that was said to be lost. Answers the last."""
        at = self.after or Position(self.epoch, self.mark)
        for event in self.heard:
            if event["event"] == "channel.recovered":
                assert event["recovered"] is False
                at = None
            elif event["event"] != "source.snapshot":
                epoch, _, offset = event["event-id"].partition(":")
                assert event == json.loads(histories[epoch][int(offset) - 1])
                assert Position(epoch, int(offset) - 1) == (at or Position(epoch, 0))
                at = Position(epoch, int(offset))
        return at


class Scenario:
    def __init__(self, house: House) -> None:
        self.house, self.channel = house, Channel(house)
        self.histories: dict[str, list[bytes]] = {}
        self.readers: list[Reader] = []
        self.sources = 0

    async def source(self) -> None:
        self.sources += 1
        self.channel.seq = 0
        await self.channel.open(f"s-{self.sources}", **({"expect": 1} if self.sources % 2 else {}))  # then a batch follows the end
        inbox.create(self.house.inner, ADA, self.channel.record)
        self.channel.published()
        self.keep()

    def keep(self) -> None:
        self.histories[self.channel.stream.epoch] = self.channel.stream.stream

    async def do(self, step) -> None:
        if step in {"append", "append unheard"}:
            self.channel.append(publish=step == "append")
        elif step == "finish":
            await self.channel.finish()
            inbox.remove(self.house.inner, ADA, self.channel.record)
            await self.source()
        elif step == "lose":
            self.house.feed.lose()
        elif step == "wait":
            await asyncio.sleep(0.003)
        elif step == "wipe":
            self.house.ledger.memory.wipe()
            await asyncio.sleep(0)
            await self.source()
        elif step == "cut":
            for reader in self.readers[-1:]:
                reader.task.cancel()
        else:
            self.join(step[1])

    def join(self, pick: int | None) -> None:
        past = [Position(epoch, n) for epoch, stream in self.histories.items() for n in range(len(stream) + 1)]
        stream = self.channel.stream
        reader = Reader(None if pick is None else past[pick % len(past)], stream.mark, stream.epoch)
        reader.task = asyncio.create_task(reader.read(self.house))
        self.readers.append(reader)

    async def run(self, steps) -> None:
        await self.source()
        self.join(None)
        await asyncio.sleep(0)
        for step in steps:
            await self.do(step)
        await self.channel.finish()
        inbox.remove(self.house.inner, ADA, self.channel.record)
        ends = await asyncio.wait_for(asyncio.gather(*(reader.task for reader in self.readers), return_exceptions=True), 20)
        self.keep()
        head = Position(self.channel.stream.epoch, self.channel.head)
        for reader, end in zip(self.readers, ends, strict=True):
            last = reader.check(self.histories)
            if end is None:
                assert last == head, "who was not cut off heard it to the end"
            else:
                unknown = isinstance(end, NotFound) and not reader.heard  # it came when Redis was just wiped
                assert unknown or isinstance(end, asyncio.CancelledError), end
        assert self.house.feed.watched == set()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_reader_gets_exactly_the_history_from_its_position_or_is_told_that_it_is_lost(steps):
    async def scenario():
        async with House() as house:
            await Scenario(house).run(steps)

    before = subscribe.LINGER_SECONDS, subscribe._LOOK_SECONDS, hub._SWEEP_SECONDS
    subscribe.LINGER_SECONDS, subscribe._LOOK_SECONDS, hub._SWEEP_SECONDS = 0.01, 0.01, 0.01
    try:
        asyncio.run(scenario())
    finally:
        subscribe.LINGER_SECONDS, subscribe._LOOK_SECONDS, hub._SWEEP_SECONDS = before
