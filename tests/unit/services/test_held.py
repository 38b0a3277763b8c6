from prometheus_client import REGISTRY

from app.services import held as holding
from app.services.held import Held
from app.services.message import Message
from tests.ledgers import SOURCE, progress, record
from tests.ledgers import milestone as an_event


def milestone(number, body=b"{}"):
    return Message(body, "e", number)


def a_progress(source="s-1", size=0):
    return Message(b'{"source-uuid":"%s","at":"%s"}' % (source.encode(), b"x" * size))


def overruns():
    return REGISTRY.get_sample_value("headrace_listeners_overrun_total")


def test_who_is_far_behind_drops_what_it_holds_and_knows_that_it_missed_something():
    held, before = Held(), overruns()
    for number in range(1, 201):
        held.put(milestone(number))
    assert not held.missed
    held.put(milestone(201))
    assert held.missed
    assert (held.take(), overruns()) == ([], before + 1)


def test_at_most_256_kib_are_held():
    held = Held()
    held.put(milestone(1, b"m" * (128 * 1024)))
    held.put(milestone(2, b"m" * (128 * 1024)))
    assert not held.missed
    held.put(a_progress())
    assert held.missed


def test_bytes_that_were_taken_or_replaced_count_no_longer():
    held = Held()
    for _ in range(5):
        for size in (100, 150, 120):
            held.put(a_progress(size=size * 1024))
        assert len(held.take()) == 1
        held.put(a_progress(size=200 * 1024))
        held.take()
    assert not held.missed


def test_of_progress_only_the_latest_of_each_source_is_held_where_it_came():
    held = Held()
    for _ in range(holding._HELD * 2):
        held.put(a_progress("a"))
        held.put(last := a_progress("b"))
    held.put(between := milestone(1))
    held.put(end := a_progress("a"))
    assert held.take() == [last, between, end]


def test_who_missed_something_holds_nothing_until_the_history_is_read():
    held = Held()
    held.put(milestone(1))
    held.miss()
    held.put(milestone(2))
    assert (held.take(), bool(held)) == ([], False)
    held.missed = False
    held.put(third := milestone(3))
    assert bool(held)
    assert held.take() == [third]


def test_a_message_is_read_from_the_form_in_which_it_is_published():
    body = an_event(record()).to_json()
    told = Message.published(b"m 12 6b03 " + body)
    assert (told.offset, told.epoch, told.body, told.run, told.is_end) == (12, "6b03", body, (SOURCE, 1), False)
    body = progress(record(), 5).to_json()
    told = Message.published(b"p 7 6b03 " + body)
    assert (told.offset, told.epoch, told.head, told.body, told.event["progress"]) == (0, "6b03", 7, body, 5)
    told = Message.published(b"p " + body)
    assert (told.offset, told.epoch, told.head, told.body) == (0, "", 0, body)
