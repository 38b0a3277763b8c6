import pytest

from app.domain.errors import TooManySockets
from app.domain.ids import ChannelId
from app.services.sockets import SocketLimits, Sockets
from tests.unit.doubles import ADA, EVE

A, B, C = (ChannelId(name) for name in "abc")


def opened(*entered, limits=None):
    sockets = Sockets(limits or SocketLimits(per_channel=2, per_owner=3, per_process=4))
    for owner, channel in entered:
        sockets.enter(owner, channel)
    return sockets


@pytest.mark.parametrize(
    ("entered", "next_one", "limit"),
    [
        ([(ADA, A), (ADA, A)], (ADA, A), 2),
        ([(ADA, A), (ADA, A), (ADA, B)], (ADA, C), 3),
        ([(ADA, A), (ADA, B), (EVE, A), (EVE, B)], (EVE, C), 4),
    ],
)
def test_one_more_than_a_limit_is_refused_and_not_counted(entered, next_one, limit):
    sockets = opened(*entered)
    for _ in range(3):
        with pytest.raises(TooManySockets) as refused:
            sockets.enter(*next_one)
    assert (refused.value.status, refused.value.fields, refused.value.retry_after_seconds) == (429, {"limit": limit}, 10)
    assert sockets.open == len(entered)
    sockets.leave(*entered[0])
    sockets.enter(*next_one)


def test_channels_of_one_name_and_two_owners_are_two():
    opened((ADA, A), (ADA, A), (EVE, A), (EVE, A))


def test_nothing_is_kept_of_who_left():
    sockets = opened((ADA, A), (ADA, B))
    with pytest.raises(TooManySockets):
        opened((EVE, A), limits=SocketLimits(per_owner=0))
    sockets.leave(ADA, A)
    sockets.leave(ADA, B)
    assert (sockets.open, sockets._owners) == (0, {})
