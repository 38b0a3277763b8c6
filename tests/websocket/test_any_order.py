"""Both directions at once, over a wire that takes what it likes: what a line writes is always a lawful stream, in order, and bounded."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.api.websocket.backlog import MAX_BYTES as MAX_BACKLOG_BYTES
from app.api.websocket.backlog import MAX_MESSAGES
from tests.websocket.still_loop import still_loop
from tests.websocket.still_wire import UNBOUNDED, StillWire
from tests.websocket.streams import LAWFUL, chunked

SILENT_VISITS = 3
LARGE = 140_000


class Telling(RuleBasedStateMachine):
    """A reader is told things, and the client takes them when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self._undone = ExitStack()
        self.loop = self._undone.enter_context(still_loop())
        self.wire = StillWire(self.loop, room=0)
        self.line = self.wire.line
        self.accepted: list[bytes] = []

    @rule(size=st.sampled_from([0, 1, 100, 1000, LARGE]), times=st.sampled_from([1, 2, MAX_MESSAGES + 50]))
    def a_reader_is_told(self, size, times):
        for _ in range(times):
            was_open, text = self.line.is_open, b"%d" % len(self.accepted) + b"x" * size
            if self.line.send(text):
                assert was_open
                self.accepted.append(text)
        self.loop.turn()

    @rule(room=st.sampled_from([1, 10, 126, 1000, 100_000, 1_000_000]))
    def the_client_reads(self, room):
        self.wire.take(room)

    @rule()
    def the_wire_is_polled(self):
        self.wire.poll()

    @invariant()
    def the_client_sees_the_messages_in_order(self):
        texts = [event.payload for event in self.wire.seen if event.kind == "text"]
        assert texts == self.accepted[: len(texts)]

    @invariant()
    def what_waits_is_bounded(self):
        if (waits := self.line._backlog) is not None:
            assert len(waits) <= MAX_MESSAGES + 2  # what is begun, and the close
            assert waits._size <= MAX_BACKLOG_BYTES + LARGE + 100

    @invariant()
    def where_nothing_waits_the_stream_is_whole(self):
        if not self.wire.is_over and not self.line.is_behind:
            self.wire.reader.end()
            assert self.line.is_open == all(event.kind != "close" for event in self.wire.seen)

    @invariant()
    def who_has_gone_is_told_of_once_and_keeps_nothing(self):
        assert self.wire.gone == self.wire.forgotten == self.wire.is_over
        assert self.line.is_gone == self.wire.is_over
        if self.wire.is_over:
            assert self.line._incoming is None
            assert self.line._backlog is None

    def teardown(self):
        with self._undone:
            self.wire.take(UNBOUNDED)
            self.wire.poll()
            assert not self.line.is_behind
            self.the_client_sees_the_messages_in_order()
            self.where_nothing_waits_the_stream_is_whole()
            self.loop.wait()
            if not self.wire.is_over:
                self.wire.breaks()
            self.who_has_gone_is_told_of_once_and_keeps_nothing()


class Talking(Telling):
    """And everything else that may happen meanwhile."""

    @initialize(listens=st.booleans())
    def connected(self, listens):
        self.line.on_message = self.wire.heard.append if listens else None

    @rule(chunks=st.one_of(*[st.lists(LAWFUL.map(lambda frame: frame.masked(b"mask")), max_size=3)] * 3, chunked()))
    def the_client_speaks(self, chunks):
        for chunk in chunks:
            self.wire.client_says(chunk)

    @rule(code=st.sampled_from([1000, 1011, 1012]))
    def it_is_closed(self, code):
        self.line.close(code)
        self.loop.turn()

    @rule(ping=st.booleans())
    def the_sweep_comes_round(self, ping):
        self.line.visit(SILENT_VISITS, ping=ping)
        self.loop.turn()

    @precondition(lambda self: not self.wire.is_over)
    @rule()
    def the_wire_breaks(self):
        self.wire.breaks()

    @precondition(lambda self: not self.line.is_open)
    @rule()
    def timers_go_off(self):
        self.loop.wait()
        assert self.wire.is_over


TestTelling, TestTalking = Telling.TestCase, Talking.TestCase
TestTelling.settings = TestTalking.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
