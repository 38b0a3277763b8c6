from ipaddress import ip_network

import pytest
from starlette.requests import HTTPConnection

from app.api.addresses import Addresses


def client(peer, *forwarded, proxies=("10.0.0.0/8",)):
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "headers": headers, "client": (peer, 1) if peer else None}
    return Addresses("http://h", trusted_proxies=[ip_network(net) for net in proxies]).client(HTTPConnection(scope))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.7, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.7", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_only_what_our_own_proxies_say_of_the_client_counts(peer, forwarded, found):
    assert client(peer, *forwarded) == found
