"""What a client sends, whole or in any pieces: the same comes of it, and nothing is kept once it is whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason, Opcode, ParseFailed

from app.api.websocket.incoming import Incoming

MESSAGES = st.lists(
    st.one_of(
        st.text(max_size=300).map(lambda text: (Opcode.TEXT, text)),
        st.binary(max_size=300).map(lambda data: (Opcode.BINARY, data)),
        st.binary(max_size=125).map(lambda data: (Opcode.PING, data)),
        st.binary(max_size=125).map(lambda data: (Opcode.PONG, data)),
    ),
    max_size=8,
)
EVENTS = {
    Opcode.TEXT: lambda it: TextMessage(data=it),
    Opcode.BINARY: lambda it: BytesMessage(data=it),
    Opcode.PING: lambda it: Ping(payload=it),
    Opcode.PONG: lambda it: Pong(payload=it),
}


def sent(messages) -> bytes:
    client = Connection(ConnectionType.CLIENT)
    return b"".join(client.send(EVENTS[opcode](payload)) for opcode, payload in messages)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in zip(at, at[1:], strict=False)]


@given(MESSAGES, st.lists(st.integers(0, 5000), max_size=10))
def test_in_any_pieces_the_same_comes_of_it(messages, cuts):
    incoming = Incoming(1000)
    got = [each for piece in pieces(sent(messages), cuts) for each in incoming.receive(piece, keep=True)]
    assert got == messages
    assert incoming.is_idle


@given(MESSAGES, st.lists(st.integers(0, 5000), max_size=10))
def test_what_nobody_wants_is_checked_and_dropped(messages, cuts):
    incoming = Incoming(1000)
    got = [each for piece in pieces(sent(messages), cuts) for each in incoming.receive(piece, keep=False)]
    assert got == [each for each in messages if each[0].iscontrol()]


@given(MESSAGES.filter(bool), st.data())
def test_it_is_idle_exactly_between_messages(messages, data):
    whole = sent(messages)
    ends = {len(sent(messages[:count])) for count in range(len(messages) + 1)}
    cut = data.draw(st.integers(0, len(whole)))
    incoming = Incoming(1000)
    list(incoming.receive(whole[:cut], keep=True))
    assert incoming.is_idle == (cut in ends)


def test_between_the_fragments_of_a_message_it_is_not_idle():
    incoming = Incoming(1000)
    assert list(incoming.receive(b"\x01\x82" + bytes(4) + b"ab", keep=True)) == []
    assert not incoming.is_idle
    assert list(incoming.receive(b"\x89\x80" + bytes(4), keep=True)) == [(Opcode.PING, b"")]
    assert not incoming.is_idle
    assert list(incoming.receive(b"\x80\x81" + bytes(4) + b"c", keep=True)) == [(Opcode.TEXT, "abc")]
    assert incoming.is_idle


@pytest.mark.parametrize("keep", [True, False])
def test_a_message_over_the_bound_is_refused_in_bytes_however_it_is_cut(keep):
    assert len(list(Incoming(1000).receive(sent([(Opcode.TEXT, "ü" * 500)]), keep=True))) == 1
    fragment, last = b"\x01\xfe\x01\xf4" + bytes(4) + b"x" * 500, b"\x80\xfe\x01\xf5" + bytes(4) + b"x" * 501
    for data in (sent([(Opcode.TEXT, "ü" * 501)]), sent([(Opcode.BINARY, bytes(1001))]), fragment + last):
        with pytest.raises(ParseFailed) as refused:
            list(Incoming(1000).receive(data, keep=keep))
        assert refused.value.code == 1009


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (4999, 4999), (None, None)])
def test_a_close_is_told_with_its_code_and_ends_it(code, told):
    client = Connection(ConnectionType.CLIENT)
    close = client.send(CloseConnection(code=code or CloseReason.NO_STATUS_RCVD))
    assert list(Incoming(10).receive(close + b"\x89\x80" + bytes(4), keep=True)) == [(Opcode.CLOSE, told)]
