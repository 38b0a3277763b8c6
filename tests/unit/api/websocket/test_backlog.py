"""What waits for a client: nothing is lost or cut, whatever it takes at a time, and there is a bound."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.websocket.backlog import MAX_BYTES, MAX_MESSAGES, Backlog

FRAMES = st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20)


@given(FRAMES, st.integers(0, 50), st.lists(st.integers(1, 60), max_size=2000))
def test_what_goes_out_is_what_came_in_from_where_it_was(frames, begun, takes):
    begun = min(begun, len(frames[0]) - 1)
    backlog = Backlog()
    for number, frame in enumerate(frames):
        backlog.add(frame, written=begun if number == 0 else 0)
    out = frames[0][:begun]
    for take in takes:
        if not backlog:
            break
        taken = bytes(backlog.next[:take])
        out += taken
        backlog.took(len(taken))
    assert b"".join(frames).startswith(out)
    assert len(backlog) == 0 or out != b"".join(frames)
    assert bool(backlog) == (out != b"".join(frames))


@given(FRAMES, st.integers(0, 49))
def test_what_is_dropped_leaves_only_the_rest_of_what_was_begun(frames, begun):
    begun = min(begun, len(frames[0]) - 1)
    backlog = Backlog()
    backlog.add(frames[0], written=begun)
    for frame in frames[1:]:
        backlog.add(frame)
    backlog.drop()
    assert (bytes(backlog.next) if backlog else b"") == (frames[0][begun:] if begun else b"")


def test_too_many_or_too_much_is_over_and_one_message_alone_never():
    many, much, one = Backlog(), Backlog(), Backlog()
    for _ in range(MAX_MESSAGES):
        many.add(b"x")
    assert not many.is_over
    many.add(b"x")
    assert many.is_over
    much.add(bytes(MAX_BYTES))
    assert not much.is_over
    much.add(b"x")
    assert much.is_over
    one.add(bytes(2 * MAX_BYTES))
    assert not one.is_over


@pytest.mark.anyio
async def test_room_is_when_less_than_half_of_the_bound_waits():
    backlog = Backlog()
    for _ in range(MAX_MESSAGES // 2):
        await asyncio.wait_for(backlog.room(), 10)
        backlog.add(b"x")
    waiting = [asyncio.create_task(backlog.room()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    waiting[0].cancel()
    await asyncio.sleep(0)
    backlog.took(1)
    await asyncio.wait_for(waiting[1], 10)
