from ipaddress import ip_network

import pytest
from starlette.requests import HTTPConnection

from app.api.addresses import Addresses

OURS = ["localhost", "127.0.0.1", "[::1]", "up.example"]
FALLBACK = "http://127.0.0.1:8811"
PROXY, STRANGER = "10.0.0.7", "203.0.113.9"


def addresses(**options):
    return Addresses(FALLBACK, allowed_hosts=OURS, trusted_proxies=[ip_network("10.0.0.0/8"), ip_network("fd00::/8")], **options)


def connection(client=STRANGER, **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": pairs, "client": (client, 1) if client else None})


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("localhost:8811", "http://localhost:8811"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("UP.example:80", "http://UP.example:80"),
        ("evil.example", FALLBACK),
        ("localhost.evil.example", FALLBACK),
        ("localhost:80@evil.example", FALLBACK),
        ("localhost/path", FALLBACK),
        ("localhost:123456", FALLBACK),
        ("localhost:", FALLBACK),
        ("localhost, evil.example", FALLBACK),
        ("", FALLBACK),
    ],
)
def test_the_host_header_counts_when_it_is_one_of_our_names(host, base):
    assert addresses().base_url(connection(host=host)) == base


def test_without_a_host_header_our_own_address_is_named():
    assert addresses().base_url(connection()) == FALLBACK


FORWARDED = {"host": "localhost:8811", "x_forwarded_host": "out.example", "x_forwarded_proto": "https"}


@pytest.mark.parametrize(
    ("client", "headers", "base"),
    [
        (PROXY, FORWARDED, "https://out.example"),
        ("fd00::1", FORWARDED, "https://out.example"),
        (STRANGER, FORWARDED, "http://localhost:8811"),
        (None, FORWARDED, "http://localhost:8811"),
        ("testclient", FORWARDED, "http://localhost:8811"),
        (PROXY, FORWARDED | {"x_forwarded_host": "out.example:8443, inner.example"}, "https://out.example:8443"),
        (PROXY, FORWARDED | {"x_forwarded_proto": "https, http"}, "https://out.example"),
        (PROXY, FORWARDED | {"x_forwarded_proto": "HTTPS"}, "https://out.example"),
        (PROXY, FORWARDED | {"x_forwarded_proto": "wss"}, "https://out.example"),
        (PROXY, FORWARDED | {"x_forwarded_proto": "ws"}, "http://out.example"),
        (PROXY, FORWARDED | {"x_forwarded_proto": "javascript"}, "http://localhost:8811"),
        (PROXY, FORWARDED | {"x_forwarded_host": "out.example/x"}, "http://localhost:8811"),
        (PROXY, FORWARDED | {"x_forwarded_host": "a@out.example"}, "http://localhost:8811"),
        (PROXY, {"host": "kept.example", "x_forwarded_proto": "https"}, "https://kept.example"),
        (PROXY, {"x_forwarded_host": "out.example"}, "http://out.example"),
        (PROXY, {"host": "localhost"}, "http://localhost"),
        (PROXY, {}, FALLBACK),
    ],
)
def test_what_a_proxy_says_counts_when_we_trust_it(client, headers, base):
    assert addresses().base_url(connection(client, **headers)) == base


@pytest.mark.parametrize("client", [PROXY, STRANGER])
def test_a_configured_url_wins_over_everything(client):
    assert addresses(public_url="https://pub.example/base").base_url(connection(client, **FORWARDED)) == "https://pub.example/base"


@pytest.mark.parametrize(
    ("client", "public", "url"),
    [
        (STRANGER, None, "ws://localhost:8811"),
        (PROXY, None, "wss://out.example"),
        (STRANGER, "https://p.example", "wss://p.example"),
        (STRANGER, "http://p.example", "ws://p.example"),
    ],
)
def test_the_socket_s_address_is_wss_where_the_outside_is_https(client, public, url):
    assert addresses(public_url=public).ws_url(connection(client, **FORWARDED)) == url
