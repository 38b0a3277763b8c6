"""Streams of bytes that a client may send: lawful, almost lawful, and any."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.websocket.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, closing
from tests.websocket.still_wire import MAX_BYTES
from tests.websocket.utf8 import FRAGMENTED, WHOLE

_TEXTS = st.one_of(st.text(max_size=40).map(str.encode), st.sampled_from([text for texts in WHOLE.values() for text in texts]), st.binary(max_size=10))
_PAYLOADS = st.one_of(
    _TEXTS, st.sampled_from([size * b"x" for size in (0, 1, 125, 126, 127, MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1, 3 * MAX_BYTES, 65535, 65536)])
)
_KEYS = st.one_of(st.just(bytes(4)), st.binary(min_size=4, max_size=4))

LAWFUL = st.builds(Frame, st.sampled_from([TEXT, BINARY, PING, PONG]), st.text(max_size=20).map(str.encode))
_ODD = st.builds(
    Frame, st.sampled_from([CONTINUATION, TEXT, BINARY, PING, PONG, *range(16)]), _PAYLOADS, st.booleans(), st.sampled_from([0, 0, 0, 0, 0, 1, 2, 4, 7]),
    st.sampled_from([None, None, None, None, 0, 1, 125, 126, 65535, 65536, 1 << 32, (1 << 63) - 1, 1 << 63]),
    st.sampled_from([0, 0, 0, 0, 2, 8]),
)  # fmt: skip
_CLOSES = st.builds(closing, st.one_of(st.none(), st.integers(995, 1020), st.integers(0, 65535)), _TEXTS)


@st.composite
def _in_pieces(draw: st.DrawFn) -> list[Frame]:
    """A message in fragments, perhaps with pings between."""
    whole = draw(st.one_of(st.sampled_from([b"".join(pieces) for texts in FRAGMENTED.values() for pieces in texts]), _PAYLOADS))
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    frames = [Frame(CONTINUATION if index else draw(st.sampled_from([TEXT, BINARY])), piece, index == len(cuts)) for index, piece in enumerate(pieces)]
    for at in draw(st.lists(st.integers(0, len(frames)), max_size=2)):
        frames.insert(at, Frame(PING, b"?"))
    return frames


def _wired(frame: Frame, key: bytes, unmasked: bool) -> bytes:
    return frame.bare() if unmasked else frame.masked(key)


_FRAMES = st.lists(st.one_of(LAWFUL.map(lambda frame: [frame]), _in_pieces(), _ODD.map(lambda frame: [frame]), _CLOSES.map(lambda frame: [frame])), max_size=6)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    frames = [frame for group in draw(_FRAMES) for frame in group]
    unmasked = draw(st.sampled_from([None] * 9 + [0]))
    stream = b"".join(_wired(frame, draw(_KEYS), index == unmasked) for index, frame in enumerate(frames))
    if stream and draw(st.sampled_from([False, False, False, True])):
        at = draw(st.integers(0, len(stream) - 1))
        stream = stream[:at] + draw(st.binary(max_size=3)) + stream[at + draw(st.integers(0, 3)) :]
    return stream + draw(st.sampled_from([b"", b"", draw(st.binary(max_size=20))]))


@st.composite
def chunked(draw: st.DrawFn) -> list[bytes]:
    stream = draw(streams())
    if len(stream) < 200 and draw(st.booleans()):
        return [stream[at : at + 1] for at in range(len(stream))]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [chunk for chunk in (stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)) if chunk]
