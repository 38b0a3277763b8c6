"""Whatever happens to a channel and to those who read it: within an epoch a reader gets exactly the history from its position, or is told that it cannot."""

import asyncio
import json
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import NotFound
from app.domain.position import Position
from app.protocol import inbox
from app.services import held, hub, mailbox, subscribe
from tests.unit.doubles import ADA, CHANNEL, House
from tests.unit.services.channel import Channel, until
from tests.unit.services.lines import Line

PICKS = st.none() | st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.sampled_from(["append", "append", "append unheard", "progress", "finish", "lose", "wait", "wipe", "trim", "flood"]),
        st.tuples(st.sampled_from(["socket", "stream"]), PICKS),
        st.tuples(st.sampled_from(["cut", "back", "full", "stuck", "stall"]), st.integers(0, 5)),
    ),
    max_size=30,
)
ENDS = {"source.succeeded", "source.failed"}


class Client:
    """Hears a channel over a socket (an outlet), or as a stream (the generator)."""

    def __init__(self, scenario: "Scenario", kind: str, after: Position | None) -> None:
        self.scenario, self.kind, self.after = scenario, kind, after
        self.line = Line()
        self.reader = None
        self.is_cut = False
        self.begun = len(scenario.marks) - 1
        self.task = asyncio.create_task(self.listen() if kind == "stream" else self.attach())

    async def attach(self) -> None:
        self.reader = await self.scenario.house.subscribe.attach(ADA, CHANNEL, self.after, self.line)
        if self.is_cut:
            self.reader.detach()

    async def listen(self) -> None:
        async with aclosing(self.scenario.house.subscribe(ADA, CHANNEL, self.after)) as messages:
            async for message in messages:
                self.line.send(message)
        self.line.close(1000)

    def cut(self) -> None:
        self.is_cut = True
        self.line.roomy.set()
        if self.kind == "stream":
            self.task.cancel()
        elif self.reader is not None:
            self.reader.detach()

    def fill(self, takes: int) -> None:
        """The client takes no more than that, and is then cut off."""
        if self.kind == "socket":
            self.is_cut, self.line.takes = True, takes
            self.line.roomy.set()

    @property
    def position(self) -> Position | None:
        """The last event-id that it heard."""
        for event in reversed(self.line.events):
            if "event-id" in event:
                epoch, _, offset = event["event-id"].partition(":")
                return Position(epoch, int(offset))
        return self.after

    def check(self) -> Position | None:
        """Every milestone is the one that its position says, and follows the one before, unless that was said to be lost. Answers the last."""
        at, heights, over, is_first = self.after, {}, set(), self.after is None
        for event in self.line.events:
            if event["event"] == "channel.recovered":
                assert event["recovered"] is False
                epoch, _, offset = event.get("event-id", ":0").partition(":")
                at, heights, is_first = Position(epoch, int(offset)) if epoch else None, {}, False
                continue
            if event["event"] != "batch":  # a roll-up is of no run, and stands in the history as any other
                source, run = event["source-uuid"], event["run"]
                height = (run, event.get("progress", 0))
                if event["event"] != "source.accepted":
                    assert height >= heights.get(source, height), "progress goes back"
                    heights[source] = height
                if event["event"] in {"source.progress", "source.processing", *ENDS}:
                    assert (source, run) not in over, "nothing comes after the end of a run"
                if event["event"] in ENDS:
                    over.add((source, run))
            if "event-id" in event:
                here = Position(*self.scenario.positions[event["event-id"]][:2])
                assert event == self.scenario.positions[event["event-id"]][2]
                before = Position(here.epoch, here.offset - 1)
                assert before in self.scenario.marks[self.begun :] if is_first else before == (at or Position(here.epoch, 0))
                at, is_first = here, False
        return at


class Scenario:
    def __init__(self, house: House) -> None:
        self.house, self.channel = house, Channel(house)
        self.histories: dict[str, list[bytes]] = {}
        self.marks: list[Position] = []
        self.clients: list[Client] = []
        self.sources = 0

    @property
    def positions(self) -> dict[str, tuple[str, int, dict]]:
        return {f"{epoch}:{n}": (epoch, n, json.loads(each)) for epoch, stream in self.histories.items() for n, each in enumerate(stream, 1)}

    async def source(self) -> None:
        self.sources += 1
        self.channel.seq = 0
        await self.channel.open(f"s-{self.sources}", **({"expect": 1} if self.sources % 2 else {}))  # then a batch follows the end
        inbox.create(self.house.inner, ADA, self.channel.record)
        self.channel.published()
        self.histories[self.channel.stream.epoch] = self.channel.stream.stream
        self.note()

    def note(self) -> None:
        """Where a client without a position may begin: the mark, or where what is kept begins."""
        stream = self.channel.stream
        self.marks.append(Position(stream.epoch, max(stream.mark, stream.first - 1)))

    async def end(self) -> None:
        await self.channel.finish()
        inbox.remove(self.house.inner, ADA, self.channel.record)

    async def do(self, step) -> None:
        if step in {"append", "append unheard"}:
            self.channel.append(publish=step == "append")
        elif step == "progress":
            self.channel.progress(self.channel.seq % 100)
        elif step == "flood":
            for _ in range(8):
                self.channel.append()
        elif step == "finish":
            await self.end()
            await self.source()
        elif step == "lose":
            self.house.feed.lose()
        elif step == "wait":
            for client in self.clients:
                client.line.roomy.set()
            await asyncio.sleep(0.003)
        elif step == "wipe":
            self.house.ledger.memory.wipe()
            await asyncio.sleep(0)
            await self.source()
        elif step == "trim":
            self.channel.stream.first = max(self.channel.stream.first, self.channel.head - 1)
            self.note()
        elif step[0] in {"socket", "stream"}:
            past = [Position(epoch, n) for epoch, stream in self.histories.items() for n in range(len(stream) + 1)]
            self.clients.append(Client(self, step[0], None if step[1] is None else past[step[1] % len(past)]))
        else:
            self.to_a_client(step[0], step[1])

    def to_a_client(self, what: str, pick: int) -> None:
        client = self.clients[pick % len(self.clients)]
        if what == "cut":
            client.cut()
        elif what == "back":
            client.cut()
            self.clients.append(Client(self, client.kind, client.position))
        elif what == "full":
            client.fill(pick)
        elif what == "stuck":
            client.line.stuck = client.kind == "socket"
        else:
            client.line.roomy.clear()

    async def run(self, steps) -> None:
        await self.source()
        self.clients += [Client(self, "stream", None), Client(self, "socket", None)]
        await asyncio.sleep(0)
        for step in steps:
            await self.do(step)
        await self.end()
        for client in self.clients:
            client.line.roomy.set()
        ends = await asyncio.wait_for(asyncio.gather(*(client.task for client in self.clients), return_exceptions=True), 20)
        head = Position(self.channel.stream.epoch, self.channel.head)
        for client, end in zip(self.clients, ends, strict=True):
            unknown = isinstance(end, NotFound) and not client.line.heard  # it came when Redis was just wiped
            assert end is None or unknown or (client.is_cut and isinstance(end, asyncio.CancelledError)), end
            if not client.is_cut and not unknown:
                await until(lambda client=client: client.line.codes)
                assert client.line.codes == [1000]
                assert client.check() == head, "who was not cut off heard it to the end"
            client.check()
        await self.leaves_nothing()

    async def leaves_nothing(self) -> None:
        for client in self.clients:
            client.cut()  # who is full, and was told nothing since
        await until(lambda: not self.house.feed.watched and not self.house.subscribe._noting)
        assert (self.house.hub._rooms, self.house.subscribe._agenda._due) == ({}, {})
        heard = [client.line.heard[: len(client.line.heard) - client.line.waiting] for client in self.clients]
        assert self.channel.stream.told <= max(
            (n for n, each in enumerate(self.channel.stream.stream, 1) if any(each in one for one in heard)), default=self.channel.stream.mark
        ), "what nobody was told does not count as told"


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_a_reader_gets_exactly_the_history_from_its_position_or_is_told_that_it_is_lost(steps):
    async def scenario():
        async with House() as house:
            await Scenario(house).run(steps)

    with pytest.MonkeyPatch.context() as patched:
        for module, name, value in (
            (subscribe, "LINGER_SECONDS", 0.01), (subscribe, "_LOOK_SECONDS", 0.01), (hub, "_SWEEP_SECONDS", 0.01),
            (held, "_HELD", 6), (mailbox, "_FULL", 6),
        ):  # fmt: skip
            patched.setattr(module, name, value)
        asyncio.run(scenario())
