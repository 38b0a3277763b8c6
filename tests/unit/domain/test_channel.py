"""Epochs: what a position means in a channel whose server lost its tail, perhaps more than once."""

import pytest

from app.domain.channel import ChannelState
from app.domain.position import Position
from tests.ledgers import OWNER

CHANNEL = ChannelState(
    owner=OWNER, head=20, epoch="c", mark=0, keep_open=False, busy=0, first=5, past=(Position("a", 8), Position("b", 8), Position("d", 15))
)  # fmt: skip


@pytest.mark.parametrize(("offset", "epoch"), [(1, "a"), (8, "a"), (9, "d"), (15, "d"), (16, "c"), (20, "c")])
def test_offsets_go_on_from_one_epoch_to_the_next(offset, epoch):
    assert CHANNEL.epoch_of(offset) == epoch


@pytest.mark.parametrize("position", ["a:4", "a:8", "b:8", "d:9", "d:15", "c:16", "c:20", "c:4"])
def test_who_has_no_more_than_its_epoch_kept_goes_on(position):
    epoch, _, offset = position.partition(":")
    assert CHANNEL.goes_on_after(Position(epoch, int(offset)))


@pytest.mark.parametrize("position", ["a:9", "b:9", "d:16", "c:21", "e:16", ":5", "a:3", "c:3"])
def test_who_has_more_than_that_or_less_than_is_kept_does_not(position):
    epoch, _, offset = position.partition(":")
    assert not CHANNEL.goes_on_after(Position(epoch, int(offset)))
