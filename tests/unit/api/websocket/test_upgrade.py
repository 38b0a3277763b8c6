"""The opening handshake, as RFC 6455 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.websocket.upgrade import BadHandshake, Upgrade, answer

HEAD = (
    b"GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: third\r\nSec-WebSocket-Version: 13"
)


def test_the_example_of_the_rfc():
    upgrade = Upgrade.parse(HEAD)
    assert (upgrade.target, upgrade.subprotocols) == (b"/chat?a=b", ["chat", "superchat", "third"])
    assert (b"origin", b"http://example.com") in upgrade.headers
    assert upgrade.accepted("chat", [(b"x-more", b"1")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"sec-websocket-protocol: chat\r\nx-more: 1\r\n\r\n"
    )


@pytest.mark.parametrize(("old", "new", "status"), [
    (b"GET", b"POST", 400), (b"HTTP/1.1", b"HTTP/1.0", 400), (b"HTTP/1.1", b"", 400), (b"Version: 13", b"Version: 8", 426), (b"Version: 13", b"Version: 13, 8", 426),
    (b"Sec-WebSocket-Version: 13", b"X: y", 426), (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ", 400), (b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAA", 400),
    (b"Origin", b"Sec-WebSocket-Key", 400), (b"Sec-WebSocket-Key", b"X", 400), (b"/chat", "/chät".encode(), 400),
])  # fmt: skip
def test_what_is_no_handshake_is_refused(old, new, status):
    with pytest.raises(BadHandshake) as refused:
        Upgrade.parse(HEAD.replace(old, new))
    assert refused.value.status == status


@given(st.binary(max_size=400) | st.lists(st.sampled_from([*HEAD.split(b"\r\n"), b"", b":", b": :", b"\xff"])).map(b"\r\n".join))
def test_any_head_is_read_or_refused(head):
    try:
        upgrade = Upgrade.parse(head)
    except BadHandshake:
        return
    assert upgrade.accepted(None, []).startswith(b"HTTP/1.1 101 ")


def test_no_header_begins_another_line():
    assert answer(299, [(b"a", b"b")]) == b"HTTP/1.1 299 \r\na: b\r\n\r\n"
    for header in ((b"a", b"b\r\nc: d"), (b"a\n", b"b")):
        with pytest.raises(ValueError, match="line break"):
            answer(200, [header])
