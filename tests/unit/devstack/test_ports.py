import socket
from contextlib import ExitStack

import pytest

from devstack import ports
from devstack.datadir import Refused


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_setting_in_one_line(taken):
    with pytest.raises(Refused, match=rf"^HEADRACE_PORT: port {taken} on 127.0.0.1 is taken; [^\n]*$"):
        ports.listen("127.0.0.1", taken, "HEADRACE_PORT")


def test_a_port_that_is_bound_and_not_listening_is_taken_too():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with ExitStack() as held, pytest.raises(Refused, match="HEADRACE_FLOWER_PORT: port"):
            ports.choose(bound.getsockname()[1], "HEADRACE_FLOWER_PORT", held)


def test_port_0_is_any_free_one_and_no_two_choices_are_the_same():
    with ExitStack() as held:
        chosen = [ports.choose(0, "X", held) for _ in range(20)]
    assert len(set(chosen)) == 20
    assert all(chosen)


def test_a_remembered_port_is_kept_while_it_is_free_and_given_up_when_it_is_taken(taken):
    with ExitStack() as held:
        free = ports.choose(0, "X", held)
    with ExitStack() as held:
        assert ports.prefer(free, "X", held) == free
        assert ports.prefer(taken, "X", held) not in {0, taken}


def test_an_address_that_is_not_ours_is_said():
    with pytest.raises(Refused, match="HEADRACE_PORT: 192.0.2.1:0: "):
        ports.listen("192.0.2.1", 0, "HEADRACE_PORT")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:5"),
        ("0.0.0.0", "http://127.0.0.1:5"),
        ("::1", "http://[::1]:5"),
        ("::", "http://[::1]:5"),
        ("localhost", "http://localhost:5"),
    ],
)
def test_the_url_is_one_that_this_machine_can_call(host, expected):
    assert ports.url(host, 5) == expected
