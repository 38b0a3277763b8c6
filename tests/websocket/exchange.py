"""One client on one line, without a socket: what it hears, and what the application is told, are what its bytes deserve."""

from __future__ import annotations

from tests.websocket.frames import Event, code_of
from tests.websocket.model import owed
from tests.websocket.still_loop import still_loop
from tests.websocket.still_wire import MAX_BYTES, StillWire


def exchange(chunks: list[bytes], *, listens: bool) -> None:
    """Fails with AssertionError or BadFrame; nothing else may be raised in it."""
    with still_loop() as loop:
        wire = StillWire(loop, listens=listens)
        for chunk in chunks:
            wire.client_says(chunk)
        _compare(wire, b"".join(chunks), listens=listens)
        loop.wait()
        if not wire.is_over:
            wire.breaks()
        assert (wire.gone, wire.forgotten) == (1, 1)
        assert wire.line._incoming is None


def _compare(wire: StillWire, stream: bytes, *, listens: bool) -> None:
    deserved = owed(stream, MAX_BYTES)
    end = [event for event in wire.seen if event.kind == "close"]
    pongs = [event for event in deserved.events if event.kind == "pong"]
    heard = [Event("text", each.encode()) if isinstance(each, str) else Event("binary", each) for each in wire.heard]
    assert wire.seen == pongs + end
    assert heard == ([event for event in deserved.events if event.kind != "pong"] if listens else [])
    if deserved.may_wait and not end:
        assert wire.line.is_open
    elif deserved.fails:
        assert [code_of(event.payload) in deserved.fails for event in end] == [True]
        assert wire.is_finished
        assert not wire.is_over
    elif deserved.closed is not None:
        assert end == [deserved.closed]
        assert wire.is_over
    else:
        assert not end
        assert wire.line.is_open
        assert (wire.line._incoming is None) == deserved.is_idle, "a parser is kept for nothing, or given up too soon"
