"""Whatever happens to a channel and to those who read it: within an epoch a reader gets exactly the history from its position, or is told that it cannot.

The model is the channel as it was written: each message with the one before it, and where a reader without a position may begin. The live link is a wire on
which messages wait in the order in which they were published; what is on it may be lost, or come late.
"""

import asyncio
import json
from collections import deque
from contextlib import ExitStack, aclosing, suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from app.domain.errors import NotFound, Unavailable
from app.domain.events import SourceProcessing, SourceProgress
from app.domain.ids import new_fence
from app.domain.layout import marker_key
from app.domain.position import Position
from app.domain.results import acceptance
from app.protocol import inbox
from app.protocol.commit import commit
from app.protocol.outcome import outcome
from app.services import held, hub, mailbox, subscribe
from tests.unit.doubles import ADA, CHANNEL, House, a_failure, a_record, a_success, announcer
from tests.unit.services.channel import attach, until
from tests.unit.services.lines import Line

ENDS = {"source.succeeded", "source.failed"}
SETTLED = {"succeeded", "failed", "cancelled"}


class Client:
    """Hears the channel over a socket (an outlet), or as a stream (the generator)."""

    def __init__(self, model: "Readers", kind: str, after: Position | None) -> None:
        self.model, self.kind, self.after = model, kind, after
        self.line = Line()
        self.reader = None
        self.is_cut = False
        self.begun = len(model.marks) - 1
        self.task = asyncio.create_task(self.listen() if kind == "stream" else self.attach())

    async def attach(self) -> None:
        self.reader = await attach(self.model.house, ADA, CHANNEL, self.after, self.line)
        if self.is_cut:
            self.reader.detach()

    async def listen(self) -> None:
        async with aclosing(self.model.house.subscribe(ADA, CHANNEL, self.after)) as messages:
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

    @property
    def position(self) -> Position | None:
        """The last event-id that it heard."""
        ids = [event["event-id"] for event in self.line.events if "event-id" in event]
        return _position(ids[-1]) if ids else self.after

    @property
    def written(self) -> list[dict]:
        """What reached the client, and not only its outlet."""
        return self.line.events[: len(self.line.heard) - self.line.waiting]

    def check(self) -> Position | None:
        """Every milestone is what its position says, and follows the one before, unless that was said to be lost. Answers the last position."""
        at, heights, over, is_first = self.after, {}, set(), self.after is None
        for event in self.line.events:
            if event["event"] == "channel.recovered":
                assert event["recovered"] is False
                at, heights, is_first = _position(event["event-id"]) if "event-id" in event else None, {}, False
                continue
            before = at or self.model.before.get(event.get("event-id", ""))
            if before is not None and not event.get("event-id", before.epoch).startswith(before.epoch):
                heights.clear()  # Redis was restarted; how far the work was is in no message that has to last
            if event["event"] != "batch":
                source, run = event["source-uuid"], event["run"]
                height = (run, event.get("progress", 0))
                if event["event"] not in {"source.accepted", *ENDS} and event.get("state") not in SETTLED:
                    assert height >= heights.get(source, height), "progress goes back"
                    heights[source] = height
                if event["event"] != "source.snapshot":
                    assert (source, run) not in over, "nothing comes after the end of a run"
            if "event-id" in event:
                assert event == self.model.said[event["event-id"]]
                self._follows(event["event-id"], at, over | self.had, is_first=is_first)
                at, is_first = _position(event["event-id"]), False
            if event["event"] in ENDS:
                over.add((source, run))
        return at

    def _follows(self, here: str, at: Position | None, over: set, *, is_first: bool) -> None:
        """The one before it is where the client stood. Between them stand only runs whose end this connection brought before, or had."""
        while True:
            before = self.model.before[here]
            if is_first and before in self.model.marks[self.begun :]:
                return
            if not is_first and before.offset == (at.offset if at else 0):
                # A position that no message has (of a beginning, or behind what was lost) is one in offset only.
                assert at is None or str(at) not in self.model.said or before == at
                return
            skipped = self.model.said.get(str(before))
            assert skipped is not None, (here, at)
            assert (skipped.get("source-uuid"), skipped.get("run")) in over, (here, at)
            here = str(before)

    @property
    def had(self) -> set[tuple[str, int]]:
        """The end that stands at its first position, which its reader knows of if it is kept."""
        if self.line.events[:1] and self.line.events[0]["event"] == "channel.recovered":
            return set()  # it had that from another life
        event = self.model.said.get(str(self.after), {})
        return {(event["source-uuid"], event["run"])} if event.get("event") in ENDS else set()

    @property
    def over(self) -> set[tuple[str, int]]:
        """Whose end this connection brought, or had: it brings no second one."""
        return self.had | {(event["source-uuid"], event["run"]) for event in self.line.events if event["event"] in ENDS}

    @property
    def known_ends(self) -> set[str]:
        return {event["source-uuid"] for event in self.line.events if event["event"] in ENDS or event.get("state") in SETTLED}


def _position(text: str) -> Position:
    epoch, _, offset = text.partition(":")
    return Position(epoch, int(offset))


class Readers(RuleBasedStateMachine):
    """One channel of a house; a worker on one source after the other; clients that come and go."""

    @initialize()
    def begin(self) -> None:
        self.said: dict[str, dict] = {}
        self.before: dict[str, Position] = {}
        self.marks: list[Position] = []
        self.clients: list[Client] = []
        self.wire: deque[bytes] = deque()
        self.ended: set[str] = set()
        self.sources = 0
        self.opened = ExitStack()
        patched = self.opened.enter_context(pytest.MonkeyPatch.context())
        for module, name, value in (
            (subscribe, "LINGER_SECONDS", 0.01), (subscribe, "_LOOK_SECONDS", 0.005), (subscribe, "_AGAIN_SECONDS", 0.002), (hub, "_SWEEP_SECONDS", 0.01),
            (hub, "_AGAIN_SECONDS", 0.002), (held, "_HELD", 6), (mailbox, "_FULL", 6),
        ):  # fmt: skip
            patched.setattr(module, name, value)
        self.runner = self.opened.enter_context(asyncio.Runner())
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.house = House()
        await self.house.__aenter__()
        self.memory = self.house.ledger.memory
        for name in ("state", "heads", "read", "ends", "latest_progress", "told"):
            self.house.ledger.__dict__[name] = _slow(getattr(self.house.ledger, name))
        await self.house.ledger.register(ADA, CHANNEL, explicit=True)
        self._source()
        self.written = self.memory.written()
        self.clients += [Client(self, "stream", None), Client(self, "socket", None)]
        await _turns(60)  # these two are there before anything ends: who comes after a wipe is another case

    # ------------------------------------------------------------------------------------------------ what is written

    @property
    def stream(self):
        return self.memory.channel(ADA, CHANNEL)

    def _note(self) -> None:
        """Where a client without a position may begin: behind the mark, or where what is kept begins."""
        stream = self.stream
        offset = max(stream.mark, stream.first - 1)
        self.marks.append(_position(_id(stream.stream[offset - 1])) if offset else Position("", 0))

    def _told(self, since: int) -> None:
        """What the channel said after that is noted, and goes onto the wire."""
        stream = self.stream.stream
        for offset in range(since + 1, len(stream) + 1):
            body = stream[offset - 1]
            name = _id(body)
            self.said[name] = json.loads(body)
            self.before[name] = _position(_id(stream[offset - 2])) if offset > 1 else Position("", 0)
            self.wire.append(b"m %d %s %s" % (offset, name.partition(":")[0].encode(), body))

    def _tell(self, call: str, *args, **kwargs):
        since = len(self.stream.stream)
        answer = getattr(self.house.ledger._sync, call)(ADA, self.record, *args, **kwargs)
        self._told(since)
        return answer

    def _source(self) -> None:
        self.sources += 1
        self.record = a_record(f"s-{self.sources}")
        self.percent = self.seq = 0
        inbox.create(self.house.inner, ADA, self.record)
        self.house.inner.put(marker_key(CHANNEL, ADA, self.record.source_uuid), b"")
        self._claim()

    def _claim(self) -> None:
        self._tell("accept")
        self.fence = new_fence()
        claim = self._tell("claim", fence=self.fence, worker="w", dead_worker="w")
        self.attempt, self.percent, self.seq = claim.attempt, claim.progress, 0
        self._note()

    def _append(self, step: int) -> None:
        self.percent = min(99, self.percent + step)
        self.seq += 1
        event = SourceProcessing(
            source_uuid=self.record.source_uuid, run=1, message=f"m{self.seq}", type="file-upload", attempt=self.attempt, progress=self.percent
        )
        if not self._tell("append", event, fence=self.fence, attempt=self.attempt, seq=self.seq, stage=None):
            self._claim()  # Redis has forgotten that the run is ours

    @rule(step=st.integers(0, 30))
    def append(self, step):
        self._append(step)

    @rule(count=st.integers(2, 9))
    def append_many(self, count):
        for _ in range(count):
            self._append(1)

    @rule(steps=st.lists(st.integers(0, 30), min_size=1, max_size=4))
    def progress(self, steps):
        for step in steps:
            self._progress(step)

    def _progress(self, step):
        self.percent = min(99, self.percent + step)
        event = SourceProgress(
            source_uuid=self.record.source_uuid, run=1, message="p", type="file-upload", attempt=self.attempt, stage="fetch", progress=self.percent,
            stage_progress=0,
        )  # fmt: skip
        if self._tell("progress", event, fence=self.fence):
            self.wire.append(b"p " + self.stream.progress[self.record.source_uuid])

    @rule(succeeds=st.booleans(), again=st.sampled_from(["no", "yes", "expecting"]))
    def finish(self, succeeds, again):
        """The next source comes, and this one ends, so that one is always open; the channel may be registered again."""
        before = self.record
        if again != "no":
            self.runner.run(self.house.ledger.register(ADA, CHANNEL, explicit=True, expect=1 if again == "expecting" else None))
        self._source()
        self._finish(before, succeeds=succeeds)

    def _finish(self, record, *, succeeds: bool) -> None:
        result = a_success(record, committed_at=self.memory.clock()) if succeeds else a_failure(record)
        commit(self.house.inner, ADA, acceptance(result), result)
        self._say_the_end(record, result)
        inbox.remove(self.house.inner, ADA, record)
        self.ended.add(record.source_uuid)

    def _say_the_end(self, record, result) -> None:
        now, self.record = self.record, record
        self._tell("finish", announcer().ended(ADA, result), state=result.state)
        self.record = now

    # ------------------------------------------------------------------------------------------------ what goes wrong

    @rule(count=st.integers(1, 6))
    def deliver(self, count):
        for _ in range(min(count, len(self.wire))):
            self.house.feed.publish(ADA, CHANNEL, self.wire.popleft())

    @rule()
    def lose_the_link(self):
        self.wire.clear()
        self.house.feed.lose()

    @rule()
    def write_to_disk(self):
        self.written = self.memory.written()

    @rule(is_lost=st.booleans())
    def restart(self, is_lost):
        """Redis comes back, with all that it had or without what was not on disk; the worker goes on."""
        self.memory.restart(self.written if is_lost else None)
        self._settle()
        self._claim()
        self.written = self.memory.written()
        self.lose_the_link()

    @rule()
    def wipe(self):
        self.memory.wipe()
        self.runner.run(asyncio.sleep(0))
        self.runner.run(self.house.ledger.register(ADA, CHANNEL, explicit=True))
        self._claim()
        self.written = self.memory.written()

    def _settle(self) -> None:
        """As a worker does with a run that Redis has open and that has ended (worker.pipeline.run.settle)."""
        for (_, source), run in list(self.memory.runs.items()):
            if source in self.ended and not run.public.state.is_terminal:
                self._say_the_end(a_record(source), outcome(self.house.inner, ADA, source).result)

    @rule()
    def trim(self):
        self.stream.first = max(self.stream.first, len(self.stream.stream) - 1)
        self._note()

    @rule(turns=st.integers(0, 8))
    def away(self, turns):
        """Redis answers nobody for so many turns of the loop."""
        self.house.ledger.away = True
        self.runner.run(_turns(turns))
        self.house.ledger.away = False

    # ------------------------------------------------------------------------------------------------ who reads

    @rule(kind=st.sampled_from(["socket", "stream"]), turns=st.integers(1, 40))
    def join(self, kind, turns):
        self.runner.run(self._join(kind, None))
        self.runner.run(_turns(turns))

    @rule(kind=st.sampled_from(["socket", "stream"]), steps=st.lists(st.integers(1, 20), min_size=2, max_size=4))
    def join_while_progress_is_on_the_wire(self, kind, steps):
        self.progress(steps)
        self.join(kind, 40)
        self.deliver(99)
        self.turn(12)

    @rule(kind=st.sampled_from(["socket", "stream"]), turns=st.integers(1, 30), step=st.integers(0, 9), more=st.integers(5, 20))
    def join_while_something_is_said(self, kind, turns, step, more):
        self.join(kind, turns)
        self._append(step)
        self._progress(more)
        self.turn(30)

    @precondition(lambda self: self.said)
    @rule(kind=st.sampled_from(["socket", "stream"]), pick=st.integers(0, 200))
    def join_after(self, kind, pick):
        self.runner.run(self._join(kind, _position(list(self.said)[pick % len(self.said)])))

    async def _join(self, kind: str, after: Position | None) -> None:
        self.clients.append(Client(self, kind, after))
        await asyncio.sleep(0)

    def _client(self, pick: int) -> Client:
        return self.clients[pick % len(self.clients)]

    @rule(pick=st.integers(0, 9), comes_back=st.booleans())
    def cut(self, pick, comes_back):
        client = self._client(pick)
        self.runner.run(_call(client.cut))
        if comes_back:
            self.runner.run(self._join(client.kind, client.position))

    @rule(pick=st.integers(2, 9), takes=st.integers(0, 3))
    def full(self, pick, takes):
        """The client takes no more than that, and is then cut off."""
        client = self._client(pick)
        if client.kind == "socket":
            client.is_cut, client.line.takes = True, takes
            client.line.roomy.set()

    @rule(pick=st.integers(0, 9))
    def stick(self, pick):
        """What the outlet takes from now on never reaches the client."""
        client = self._client(pick)
        client.line.stuck = client.kind == "socket"

    @rule(pick=st.integers(0, 9))
    def stall(self, pick):
        self._client(pick).line.roomy.clear()

    @rule(turns=st.integers(1, 12))
    def turn(self, turns):
        self.runner.run(_turns(turns))

    @rule()
    def wait(self):
        for client in self.clients:
            client.line.roomy.set()
        self.runner.run(asyncio.sleep(0.003))

    # ------------------------------------------------------------------------------------------------ what holds

    @invariant()
    def each_client_heard_a_part_of_the_history(self):
        for client in self.clients:
            client.check()

    @invariant()
    def what_nobody_who_has_gone_was_told_does_not_count_as_told(self):
        stream = self.stream
        furthest = max((self._furthest(client) for client in self.clients if client.reader is None or client.reader.outlet is None), default=0)
        assert stream.told <= max(furthest, self.marks[-1].offset)

    def _furthest(self, client: Client) -> int:
        """How far it came in the stream as it is now."""
        kept = [_id(body) for body in self.stream.stream]
        heard = {event["event-id"] for event in client.written if "event-id" in event} | {str(client.after)}
        offset = max((offset for offset, name in enumerate(kept, 1) if name in heard), default=0)
        while offset < len(kept) and self._is_of_the_past(self.said[kept[offset]], client):
            offset += 1
        return offset

    def _is_of_the_past(self, event: dict, client: Client) -> bool:
        return (event.get("source-uuid"), event.get("run")) in client.over

    def teardown(self):
        if not hasattr(self, "runner"):
            return
        with self.opened:
            try:
                self.runner.run(asyncio.wait_for(self._end(), 60))
            finally:
                self.runner.run(self.house.__aexit__(None, None, None))

    async def _end(self) -> None:
        """All that is left is told. Who was not cut off is closed after the last milestone, and knows how each source ended."""
        self._finish(self.record, succeeds=True)
        await self.house.ledger.register(ADA, CHANNEL, explicit=False, keep_open=False)
        self._settle()
        while self.wire:
            self.house.feed.publish(ADA, CHANNEL, self.wire.popleft())
        for client in self.clients:
            client.line.roomy.set()
        ends = await asyncio.gather(*(client.task for client in self.clients), return_exceptions=True)
        for client, end in zip(self.clients, ends, strict=True):
            # It came when Redis was just wiped, or did not answer.
            refused = isinstance(end, NotFound | Unavailable) and not client.line.heard
            assert end is None or refused or (client.is_cut and isinstance(end, asyncio.CancelledError)), end
            if not client.is_cut and not refused:
                with suppress(AssertionError):
                    await until(lambda client=client: client.line.codes)
                assert client.line.codes == [1000], (client.kind, client.after, [(e["event"], e.get("event-id")) for e in client.line.events], self.stream)
                self._is_whole(client)
            client.check()
        for client in self.clients[:2]:
            assert client.is_cut or not client.line.heard or self.ended <= client.known_ends
        await self._leaves_nothing()

    def _is_whole(self, client: Client) -> None:
        """It stands at the head, but for what its connection passed over."""
        at = client.check()
        here = _position(_id(self.stream.stream[-1]))
        assert at is not None
        while here.offset > at.offset and self._is_of_the_past(self.said[str(here)], client):
            here = self.before[str(here)]
        assert here.offset == at.offset, "who was not cut off heard it to the end"
        assert here == at or str(at) not in self.said

    async def _leaves_nothing(self) -> None:
        for client in self.clients:
            client.cut()  # who is full, and was told nothing since
        await until(lambda: not self.house.feed.watched and not self.house.subscribe._noting)
        assert (self.house.hub._rooms, self.house.subscribe._agenda._due) == ({}, {})


def _id(body: bytes) -> str:
    return str(json.loads(body)["event-id"])


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _slow(call):
    """Redis is asked, and answers, some turns of the loop later: much may happen in between."""

    async def asked(*args, **kwargs):
        await _turns(2)
        answer = await call(*args, **kwargs)
        await _turns(2)
        return answer

    return asked


async def _call(what) -> None:
    what()
    await asyncio.sleep(0)


@pytest.mark.timeout(300)
def test_a_reader_gets_exactly_the_history_from_its_position_or_is_told_that_it_is_lost():
    run_state_machine_as_test(
        Readers,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, database=None, phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
