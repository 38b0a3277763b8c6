import pytest

from app.domain.errors import TooManyGuesses
from app.services.throttle import Throttle


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def wrong(throttle, address, times):
    for _ in range(times):
        throttle.count(address)


def test_guesses_up_to_the_limit_are_only_wrong_and_further_ones_are_told_to_wait():
    clock = Clock()
    throttle = Throttle(3, clock)
    wrong(throttle, "192.0.2.1", 3)
    clock.now += 20
    with pytest.raises(TooManyGuesses) as refused:
        throttle.count("192.0.2.1")
    assert (refused.value.status, refused.value.retry_after_seconds) == (429, 41)


def test_after_the_minute_it_begins_anew():
    clock = Clock()
    throttle = Throttle(1, clock)
    throttle.count("192.0.2.1")
    clock.now += 60
    throttle.count("192.0.2.1")


def test_one_address_guesses_for_itself_alone():
    throttle = Throttle(1, Clock())
    throttle.count("192.0.2.1")
    throttle.count("192.0.2.2")


@pytest.mark.parametrize(("one", "other"), [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), (None, "a socket")])
def test_addresses_that_one_client_has_count_as_one(one, other):
    throttle = Throttle(1, Clock())
    throttle.count(one)
    with pytest.raises(TooManyGuesses):
        throttle.count(other)


def test_mapped_addresses_are_not_one_network():
    throttle = Throttle(1, Clock())
    throttle.count("::ffff:192.0.2.1")
    throttle.count("::ffff:192.0.2.2")


def test_however_many_addresses_guess_memory_is_bounded():
    throttle = Throttle(1, Clock())
    for n in range(12_000):
        throttle.count(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(throttle._guesses) == 10_000
