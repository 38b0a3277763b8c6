"""The hand-made frames against a library's, and each thing that no server may send."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, BadFrame, Frame, Reader, closing

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536])
CUTS = st.lists(st.integers(0, 70_000), max_size=5)
TEXT_FRAME = Frame(TEXT, b"a").bare()


def chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(SIZES, st.booleans(), st.booleans(), CUTS)
def test_a_library_reads_what_is_written_here(size, final, binary, cuts):
    payload = b"x" * size
    theirs = FrameProtocol(client=False, extensions=[])
    got = []
    for chunk in chunks(Frame(BINARY if binary else TEXT, payload, final=final).masked(), cuts):
        theirs.receive_bytes(chunk)
        got += list(theirs.received_frames())
    assert {frame.opcode for frame in got} == {Opcode.BINARY if binary else Opcode.TEXT}
    assert b"".join(part if isinstance(part, bytes | bytearray) else part.encode() for part in (frame.payload for frame in got)) == payload
    assert got[-1].message_finished == final


@given(st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300))), CUTS)
def test_what_a_library_writes_is_read_here(messages, cuts):
    theirs = FrameProtocol(client=False, extensions=[])
    stream = b"".join(theirs.send_data(message) for message in messages) + theirs.ping(b"?") + theirs.close(1000, "bye")
    reader = Reader()
    events = [(event.kind, event.payload) for chunk in chunks(stream, cuts) for event in reader.feed(chunk)]
    reader.end()
    said = [("text", message.encode()) if isinstance(message, str) else ("binary", message) for message in messages]
    assert events == [*said, ("ping", b"?"), ("close", b"\x03\xe8bye")]


@pytest.mark.parametrize("stream", [
    Frame(TEXT, b"a").masked(), Frame(TEXT, b"a", reserved=4).bare(), Frame(3).bare(), Frame(11).bare(), Frame(PING, final=False).bare(),
    Frame(PONG, b"x" * 126).bare(), Frame(CONTINUATION, b"a").bare(), Frame(TEXT, final=False).bare() + TEXT_FRAME, Frame(TEXT, b"\xff").bare(),
    b"\x81\x7e\x00\x7d", b"\x81\x7f" + bytes(6) + b"\xff\xff", b"\x81\x7f\x80" + bytes(7), Frame(CLOSE, b"\x03").bare(), closing(1005).bare(),
    closing(1000, b"\xff").bare(), closing(1000).bare() + TEXT_FRAME, Frame(TEXT, b"\xc3", final=False).bare() + Frame(CONTINUATION, b"a").bare(),
], ids=itertools.count())  # fmt: skip
def test_what_no_server_may_send_is_noticed(stream):
    with pytest.raises(BadFrame):
        list(Reader().feed(stream))


def test_a_frame_that_is_cut_off_is_noticed_at_the_end():
    reader = Reader()
    assert list(reader.feed(TEXT_FRAME + b"\x81")) != []
    with pytest.raises(BadFrame):
        reader.end()
