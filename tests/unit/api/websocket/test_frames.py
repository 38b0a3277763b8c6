from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Message, Ping

from app.api.websocket import frames


@given(st.one_of(st.text(), st.sampled_from([0, 125, 126, 65535, 65536]).map(lambda size: "x" * size)))
def test_a_text_is_framed_as_wsproto_does(text):
    assert frames.text(text.encode()) == Connection(ConnectionType.SERVER).send(Message(data=text))


@given(st.sampled_from([1000, 1001, 1012, 1013, 3000, 4999]), st.text(max_size=200))
def test_a_close_is_framed_as_wsproto_does(code, reason):
    assert frames.close(code, reason) == Connection(ConnectionType.SERVER).send(CloseConnection(code=code, reason=reason))


def test_a_ping_and_a_close_without_a_code():
    assert Connection(ConnectionType.SERVER).send(Ping()) == frames.PING
    assert frames.close(None) == b"\x88\x00"
