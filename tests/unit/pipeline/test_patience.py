"""What is away is waited for, a while."""

from __future__ import annotations

import time

import pytest

from app.adapters.memory import MemoryObjectStore
from app.domain.errors import ObjectNotFound, Unavailable
from tests.hiccups import Hiccups
from worker.pipeline.lease import LeaseLost
from worker.pipeline.patience import Patience, PatientStore


class Away:
    """Refuses so many times."""

    def __init__(self, times: int, error: type[Exception] = Unavailable) -> None:
        self.times, self.error, self.calls = times, error, 0

    def __call__(self, answer: str = "there") -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return answer


class Slept(list):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_what_is_there_is_called_once_and_nothing_is_told():
    slept, told = Slept(), []
    patience = Patience(60, slept)
    patience.tell = lambda: told.append(1)
    assert patience(Away(0), answer="yes") == "yes"
    assert (slept, told, patience.has_waited) == ([], [], False)


def test_pauses_grow_up_to_a_bound_and_no_two_workers_have_the_same():
    pauses = []
    for _ in range(2):
        slept = Slept()
        assert Patience(60, slept)(Away(9)) == "there"
        pauses.append(slept)
    for slept in pauses:
        assert len(slept) == 9
        assert all(0.2 * 2**n <= pause <= 0.2 * 2**n + 1 for n, pause in enumerate(slept[:5]))
        assert slept[-1] == 10
    assert pauses[0] != pauses[1]


@pytest.mark.parametrize(("times", "tellings"), [(1, 0), (2, 1), (7, 1)])
def test_it_is_told_once_an_outage_and_not_of_a_single_refusal(times, tellings):
    told = []
    patience = Patience(60, lambda _: None)
    patience.tell = lambda: told.append(1)
    for outages in (1, 2):
        patience(Away(times))
        assert len(told) == outages * tellings
    assert patience.has_waited


def test_when_the_time_is_over_the_refusal_goes_through_after_one_more_try_at_least():
    away = Away(99)
    with pytest.raises(Unavailable):
        Patience(0, lambda _: None)(away)
    assert away.calls == 2


@pytest.mark.parametrize("error", [ObjectNotFound, ValueError, LeaseLost])
def test_any_other_error_goes_through_at_once(error):
    away = Away(1, error)
    with pytest.raises(error):
        Patience(60, time.sleep)(away)
    assert away.calls == 1


def test_an_error_out_of_the_pause_ends_the_waiting():
    def lost(_: float) -> None:
        raise LeaseLost

    away = Away(5)
    with pytest.raises(LeaseLost):
        Patience(60, lost)(away)
    assert away.calls == 1


def test_a_read_that_breaks_off_goes_on_where_it_was():
    inner = MemoryObjectStore()
    body = bytes(range(256)) * 40
    inner.put("objects/a", body)
    store = Hiccups(inner)
    read = PatientStore(store, Patience(60, lambda _: None)).read("objects/a", start=10, stop=9000, chunk_bytes=700)
    assert b"".join(read) == body[10:9000]
    assert store.refused > 10


def test_a_transfer_that_is_given_up_is_aborted_at_once():
    store = MemoryObjectStore()
    transfer = PatientStore(store, Patience(60, lambda _: None)).start("objects/a", part_bytes=5 << 20)
    transfer.put_part(1, b"x")
    transfer.abort()
    assert store.stat("objects/a") is None
