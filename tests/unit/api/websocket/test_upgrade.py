"""The opening handshake, as RFC 6455 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.websocket.upgrade import BadHandshake, Upgrade, answer

KEY, VERSION = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"sec-websocket-version", b"13")
OTHERS = [
    (b"host", b"server.example.com"), (b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"origin", b"http://example.com \t"),
    (b"sec-websocket-protocol", b"chat, superchat"), (b"sec-websocket-protocol", b"third"),
]  # fmt: skip


def test_the_example_of_the_rfc():
    upgrade = Upgrade.of(b"GET", b"/chat?a=b", [*OTHERS, KEY, VERSION])
    assert (upgrade.target, upgrade.subprotocols) == (b"/chat?a=b", ["chat", "superchat", "third"])
    assert (b"origin", b"http://example.com") in upgrade.headers  # without the space around it
    assert upgrade.accepted("chat", [(b"x-more", b"1")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"sec-websocket-protocol: chat\r\nx-more: 1\r\n\r\n"
    )


@pytest.mark.parametrize(("method", "target", "headers", "status"), [
    (b"POST", b"/chat", [KEY, VERSION], 400), (b"GET", "/chät".encode(), [KEY, VERSION], 400),
    (b"GET", b"/chat", [KEY], 426), (b"GET", b"/chat", [KEY, (VERSION[0], b"8")], 426), (b"GET", b"/chat", [KEY, (VERSION[0], b"13, 8")], 426),
    (b"GET", b"/chat", [KEY, VERSION, VERSION], 426), (b"GET", b"/chat", [VERSION], 400), (b"GET", b"/chat", [KEY, KEY, VERSION], 400),
    (b"GET", b"/chat", [(KEY[0], KEY[1][:-2]), VERSION], 400), (b"GET", b"/chat", [(KEY[0], b"AAAA"), VERSION], 400),
])  # fmt: skip
def test_what_is_no_handshake_is_refused(method, target, headers, status):
    with pytest.raises(BadHandshake) as refused:
        Upgrade.of(method, target, [*OTHERS, *headers])
    assert refused.value.status == status


@given(
    st.sampled_from([b"GET", b"HEAD"]),
    st.binary(max_size=20),
    st.lists(st.sampled_from([KEY, VERSION, *OTHERS]) | st.tuples(st.binary(), st.binary(max_size=60))),
)
def test_any_request_is_a_handshake_or_refused(method, target, headers):
    try:
        upgrade = Upgrade.of(method, target, headers)
    except BadHandshake:
        return
    assert upgrade.accepted(None, []).startswith(b"HTTP/1.1 101 ")


def test_no_header_begins_another_line():
    assert answer(299, [(b"a", b"b")]) == b"HTTP/1.1 299 \r\na: b\r\n\r\n"
    for header in ((b"a", b"b\r\nc: d"), (b"a\n", b"b")):
        with pytest.raises(ValueError, match="line break"):
            answer(200, [header])
        with pytest.raises(ValueError, match="line break"):
            Upgrade.of(b"GET", b"/", [KEY, VERSION]).accepted(None, [header])
