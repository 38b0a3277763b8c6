import pytest
from prometheus_client import REGISTRY

from app.services import listener as listening
from app.services.listener import Listener, source_of_progress
from tests.ledgers import SOURCE, progress, record

pytestmark = pytest.mark.anyio


def milestone(number):
    return b"m %d e {}" % number


def overruns():
    return REGISTRY.get_sample_value("headrace_listeners_overrun_total")


def test_a_listener_far_behind_drops_what_it_holds_and_knows_that_it_missed_something():
    listener, before = Listener(), overruns()
    for number in range(200):
        listener.put(milestone(number), None)
    assert not listener.missed
    listener.put(milestone(201), None)
    assert listener.missed
    assert (listener.take(), overruns()) == ([], before + 1)


def test_a_listener_holds_at_most_256_kib():
    listener = Listener()
    listener.put(b"m" * (128 * 1024), None)
    listener.put(b"m" * (128 * 1024), None)
    assert not listener.missed
    listener.put(b"p", b"s-1")
    assert listener.missed


def test_bytes_that_were_taken_or_replaced_count_no_longer():
    listener = Listener()
    for _ in range(5):
        for size in (100, 150, 120):
            listener.put(b"p" * (size * 1024), b"s-1")
        assert len(listener.take()) == 1
        listener.put(b"p" * (200 * 1024), b"s-1")
        listener.drop_progress()
        assert not listener.is_behind
    assert not listener.missed


def test_of_progress_only_the_latest_of_each_source_is_held_where_it_came():
    listener = Listener()
    for number in range(listening._HELD * 2):
        listener.put(b"p a%d" % number, b"a")
        listener.put(b"p b%d" % number, b"b")
    listener.put(milestone(1), None)
    listener.put(b"p a", b"a")
    assert listener.take() == [b"p b%d" % (listening._HELD * 2 - 1), milestone(1), b"p a"]


async def test_who_missed_something_does_not_wait_and_holds_nothing_until_the_history_was_read():
    listener = Listener()
    listener.miss()
    assert await listener.wait(None)
    listener.put(milestone(1), None)
    assert listener.take() == []
    assert await listener.wait(None), "it is still to be read"
    listener.missed = False
    listener.put(milestone(2), None)
    assert await listener.wait(None)
    assert listener.take() == [milestone(2)]
    assert not await listener.wait(0.001)


@pytest.mark.parametrize(
    ("position", "head", "missed"),
    [
        (("e", 3), ("e", 3), False),
        (("e", 3), ("e", 4), True),
        (("e", 3), ("f", 3), True),
        (("e", 3), None, True),
        (("", 0), None, False),
        (None, ("e", 3), False),
    ],
)
def test_it_compares_heads(position, head, missed):
    listener = Listener()
    listener.position = position
    listener.compare(head)
    assert listener.missed is missed


def test_a_head_says_nothing_to_who_has_not_taken_what_came():
    listener = Listener()
    listener.position = ("e", 3)
    listener.put(milestone(4), None)
    listener.compare(("e", 4))
    assert not listener.missed


def test_the_source_of_a_progress_is_found_in_its_bytes():
    assert source_of_progress(b"p " + progress(record(), 5).to_json()) == SOURCE.encode()
    assert source_of_progress(b"m 1 e " + progress(record(), 5).to_json()) is None
