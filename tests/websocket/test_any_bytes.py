"""Whatever a client sends, in whatever chunks: a line answers what is owed, never raises, and keeps nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.websocket.exchange import exchange
from tests.websocket.streams import chunked


@given(chunked(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_line_answers_what_is_owed(chunks, listens):
    exchange(chunks, listens=listens)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=10))
@settings(max_examples=300, deadline=None)
def test_so_it_does_for_noise(chunks):
    exchange(chunks, listens=True)
