from __future__ import annotations

import ssl

import httpcore
import pytest

from app.adapters import http_limits
from app.adapters.http_limits import MINIMUM_RATE, LimitedStream, Limits
from app.domain.errors import ProcessingFailed


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(http_limits, "time", clock)
    return clock


def test_a_call_gets_what_it_asked_for_but_never_more_than_is_left(clock):
    limits = Limits(seconds=60, wire_bytes=10)
    assert limits.left(10) == 10
    assert limits.left() == 60
    clock.now += 55
    assert limits.left(10) == 5
    assert limits.left(10, shares=5) == 1
    assert not limits.are_over


def test_after_the_deadline_nothing_may_begin(clock):
    limits = Limits(seconds=60, wire_bytes=10)
    clock.now += 60
    assert limits.are_over
    with pytest.raises(ProcessingFailed) as failed:
        limits.left(10)
    assert failed.value.code == "timeout"


def test_each_mebibyte_that_came_moves_the_deadline_on_by_a_second(clock):
    limits = Limits(seconds=60, wire_bytes=10 * MINIMUM_RATE)
    limits.count(5 * MINIMUM_RATE)
    clock.now += 60
    assert limits.left() == 5
    clock.now += 5
    assert limits.are_over


def test_the_wire_carries_so_many_bytes_and_not_one_more():
    limits = Limits(seconds=60, wire_bytes=10)
    limits.count(10)
    with pytest.raises(ProcessingFailed) as failed:
        limits.count(1)
    assert failed.value.code == "too_large"


def test_a_connection_without_time_for_tls_is_closed_by_us_since_nobody_else_holds_it(clock):
    class Stream(httpcore.NetworkStream):
        closed = False

        def close(self):
            self.closed = True

    limits, inner = Limits(seconds=60, wire_bytes=10), Stream()
    clock.now += 60
    with pytest.raises(ProcessingFailed) as failed:
        LimitedStream(inner, limits).start_tls(ssl.create_default_context(), "import.test", 5)
    assert (failed.value.code, inner.closed) == ("timeout", True)
