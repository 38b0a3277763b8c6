"""URL import against a hostile origin (127.0.0.2, allowed) and a canary (127.0.0.1, its port allowed, its address not).

What proves a refusal is the record of connections, kept by an audit hook below everything else, not an error somewhere above.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import sys
import threading
import traceback

import pytest

from app.adapters import http_limits
from app.adapters.http_fetch import GuardedFetcher
from app.adapters.http_guard import FetchPolicy
from app.domain.errors import ProcessingFailed
from tests.integration import origin as servers
from tests.integration.origin import answer, drip, flood

# The audit hook keeps us on loopback here; pytest-socket would stop an attempt before the hook could record it.
pytestmark = pytest.mark.enable_socket

ALLOWED = ("127.0.0.2/32",)


@pytest.fixture
def origin():
    try:
        server = servers.Origin("127.0.0.2")
    except OSError:
        if sys.platform != "darwin":
            raise
        pytest.skip("macOS has 127.0.0.2 only after: sudo ifconfig lo0 alias 127.0.0.2")
    with server:
        yield server


@pytest.fixture
def canary():
    with servers.Origin("127.0.0.1") as server:
        server.routes["/"] = answer(b"secret")
        yield server


@pytest.fixture
def nameserver():
    with servers.Nameserver() as server:
        yield server


@pytest.fixture
def wire():
    with servers.wire() as record:
        yield record


@pytest.fixture
def fetcher(origin, canary, nameserver):
    def make(**policy):
        ports = (80, 443, origin.port, canary.port, *policy.pop("ports", ()))
        defaults = {"allow_nets": ALLOWED, "ports": ports, "nameserver": nameserver.address, "timeout_seconds": 20}
        return GuardedFetcher(FetchPolicy(**(defaults | policy)))

    return make


def fetch(fetcher, url, max_bytes=1 << 20):
    with fetcher.fetch(url, max_bytes=max_bytes) as fetched:
        return fetched, b"".join(fetched.chunks)


def failure(fetcher, url, max_bytes=1 << 20):
    with pytest.raises(ProcessingFailed) as failed:
        fetch(fetcher, url, max_bytes)
    return failed.value.code


# ------------------------------------------------------------------------------------------------ what works


def test_a_document_arrives_with_its_size_type_and_name(origin, fetcher):
    origin.routes["/a/report.pdf"] = answer(b"x" * 200_000, "Content-Type: Application/PDF; q=1")
    fetched, body = fetch(fetcher(), f"{origin.base}/a/report.pdf?sign=1")
    assert body == b"x" * 200_000
    assert (fetched.size, fetched.media_type, fetched.filename) == (200_000, "application/pdf", "report.pdf")
    assert fetched.url == f"{origin.base}/a/report.pdf?sign=1"


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=None),
        answer(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=3),
        answer(b"hello world", length=None),
    ],
    ids=["chunked", "chunked-with-a-length-that-does-not-count", "until-close"],
)
def test_a_body_without_a_promised_length_arrives_whole(origin, fetcher, reply):
    origin.routes["/"] = reply
    fetched, body = fetch(fetcher(), origin.base)
    assert (fetched.size, body) == (None, b"hello world")


def test_an_empty_body_is_a_success(origin, fetcher):
    origin.routes["/"] = answer()
    fetched, body = fetch(fetcher(), origin.base)
    assert (fetched.size, body) == (0, b"")


def test_bytes_after_the_promised_length_are_not_part_of_the_body(origin, fetcher):
    origin.routes["/"] = answer(b"hello world", length=5)
    assert fetch(fetcher(), origin.base)[1] == b"hello"


def test_the_request_carries_nothing_of_ours(origin, canary, fetcher, wire, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.2 login us password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.base)
    origin.routes["/"] = answer(b"hello")
    assert fetch(fetcher(), origin.base)[1] == b"hello"
    lines = origin.heads[0].decode().lower().split("\r\n")
    assert {line.partition(":")[0] for line in lines[1:] if line} == {"host", "accept", "accept-encoding", "user-agent", "connection"}
    assert "accept-encoding: identity" in lines
    assert wire == [("127.0.0.2", origin.port)]


def test_one_fetcher_serves_many_threads(origin, fetcher):
    shared, bodies = fetcher(), {}
    for n in range(8):
        origin.routes[f"/{n}"] = answer(b"%d" % n * 100_000)
    threads = [threading.Thread(target=lambda n=n: bodies.update({n: fetch(shared, f"{origin.base}/{n}")[1]})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == {n: b"%d" % n * 100_000 for n in range(8)}


# ------------------------------------------------------------------------------------------------ addresses

DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.0.0.3 127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2
172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:127.0.0.2 ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::169.254.169.254 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:0a00:0001::1 2001:0:7f00:1:: 2001:db8::1
100::1 1::1 1fff::1 4000::1 a000::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
""".split()  # noqa: SIM905 -- a table


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_never_connected_to(canary, fetcher, nameserver, wire, address):
    nameserver.names["import.test"] = [[address]]
    host = f"[{address}]" if ":" in address else address
    assert failure(fetcher(), f"http://{host}:{canary.port}/") == "url_refused"
    assert failure(fetcher(), f"http://import.test:{canary.port}/") == "url_refused"
    assert (wire, canary.heads) == ([], [])


def test_only_the_address_kept_the_canary_from_being_reached(canary, fetcher, nameserver, wire):
    nameserver.names["import.test"] = [["127.0.0.1"]]
    loose = fetcher(allow_nets=["127.0.0.1/32"])
    assert fetch(loose, canary.base)[1] == b"secret"
    assert fetch(loose, f"http://import.test:{canary.port}/")[1] == b"secret"
    assert wire == [("127.0.0.1", canary.port)] * 2


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "192.0.0.9", "64:ff9b::808:808"])
def test_a_public_address_is_tried(fetcher, wire, address):
    host = f"[{address}]" if ":" in address else address
    assert failure(fetcher(), f"http://{host}/") == "fetch_failed"  # the audit hook lets nothing out
    assert wire == [(address, 80)]


@pytest.mark.parametrize(
    "host",
    """
    2130706433 0x7f000001 0x7f.0.0.1 0x7f.1 0177.0.0.1 017700000001 127.1 127.0.1 127.0.0.1. 0 127.0.0.01 00000177.1
    localhost LOCALHOST lOcAlHoSt %31%32%37.0.0.1 127.0.0.1%00.example.com 127%2e0%2e0%2e1 [::ffff:127.0.0.1] [0:0:0:0:0:ffff:7f00:1]
    [::1%25lo] [::%31] ①②⑦.0.0.1 \uff11\uff12\uff17.0.0.1 127。0。0。1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ 127.0.0.1%23.example.com [127.0.0.1] [v1.127.0.0.1]
    """.split(),  # noqa: SIM905 -- a table
)
def test_loopback_in_disguise_is_refused(canary, fetcher, wire, host):
    assert failure(fetcher(nameserver=None), f"http://{host}:{canary.port}/") == "url_refused"
    assert wire == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain"])
def test_a_name_counts_as_what_it_resolves_to(canary, fetcher, nameserver, wire, host):
    nameserver.names[host.lower().rstrip(".")] = [["127.0.0.1"]]
    assert failure(fetcher(), f"http://{host}:{canary.port}/") == "url_refused"
    assert (wire, canary.heads) == ([], [])


@pytest.mark.parametrize(
    "host", ["xn--a.test", "xn--.test", "_svc.test", "-.test", "a..test", "..", "a" * 64 + ".test", "a." * 130 + "test", "*.test", "a_b", "é" * 300]
)
def test_a_host_that_is_no_name_is_refused(origin, fetcher, wire, host):
    origin.routes["/"] = redirect(f"http://{host}:{origin.port}/")
    assert failure(fetcher(), f"http://{host}:{origin.port}/") == "url_refused"
    assert wire == []
    assert failure(fetcher(), origin.base) in {"url_refused", "fetch_failed"}
    assert wire == [("127.0.0.2", origin.port)]


@pytest.mark.parametrize("answers", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"], ["127.0.0.2", "169.254.169.254"]])
def test_a_name_with_one_bad_address_is_refused_whole(origin, fetcher, nameserver, wire, answers):
    nameserver.names["import.test"] = [answers]
    assert failure(fetcher(), f"http://import.test:{origin.port}/") == "url_refused"
    assert wire == []


def test_a_name_that_changes_after_the_check_changes_nothing(origin, canary, fetcher, nameserver, wire):
    origin.routes["/"] = answer(b"hello")
    nameserver.names["import.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    assert fetch(fetcher(), f"http://import.test:{origin.port}/")[1] == b"hello"
    assert wire == [("127.0.0.2", origin.port)]


def test_a_name_that_changes_between_redirects_is_refused(origin, canary, fetcher, nameserver, wire):
    origin.routes["/"] = answer(b"", f"Location: http://import.test:{canary.port}/", status="302 Found")
    nameserver.names["import.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    assert failure(fetcher(), f"http://import.test:{origin.port}/") == "url_refused"
    assert wire == [("127.0.0.2", origin.port)]


# ------------------------------------------------------------------------------------------------ scheme, port, userinfo


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "ws", "dict", "ldap", "unix", "data", "http+unix", ""])
def test_only_http_and_https_are_fetched(origin, fetcher, wire, scheme):
    assert failure(fetcher(), f"{scheme}://127.0.0.2:{origin.port}/") == "url_refused"
    assert wire == []


def test_only_listed_ports_are_reached(fetcher, wire):
    with servers.Origin("127.0.0.2") as other:
        other.routes["/"] = answer(b"hello")
        assert failure(fetcher(), other.base) == "url_refused"
        assert wire == []
        assert fetch(fetcher(ports=[other.port]), other.base)[1] == b"hello"


@pytest.mark.parametrize("port", ["0", "22", "6379", "65536", "-1", "80a"])
def test_other_ports_and_nonsense_are_refused(fetcher, wire, port):
    assert failure(fetcher(), f"http://127.0.0.2:{port}/") == "url_refused"
    assert wire == []


@pytest.mark.parametrize(
    "form",
    [
        "http://user:secret@{origin}/",
        "http://user@{origin}/",
        "http://@{origin}/",
        "http://{origin}@{canary}/",
        "http://{canary}@{origin}/",
        "http://{origin}\\@{canary}/",
        "http://{canary}\\@{origin}/",
        "http://{origin}%40{canary}/",
        "http://{origin}\t/",
        " http://{origin}/",
        "http://{origin}/\r\nX-Injected: 1",
        "http:{origin}/",
        "http:///{origin}/",
        "//{origin}/",
        "http://{origin}/" + "a" * 2048,
    ],
)
def test_a_url_that_two_readers_could_read_differently_is_refused(origin, canary, fetcher, wire, form):
    url = form.format(origin=f"127.0.0.2:{origin.port}", canary=f"127.0.0.1:{canary.port}")
    assert failure(fetcher(), url) == "url_refused"
    assert wire == []


@pytest.mark.parametrize("tail", ["/#@{canary}/", "/?@{canary}/", "/@{canary}/"])
def test_what_stands_after_the_authority_does_not_decide_where_to_go(origin, canary, fetcher, wire, tail):
    origin.routes |= dict.fromkeys(["/", f"/@127.0.0.1:{canary.port}/"], answer(b"hello"))
    assert fetch(fetcher(), origin.base + tail.format(canary=f"127.0.0.1:{canary.port}"))[1] == b"hello"
    assert wire == [("127.0.0.2", origin.port)]


# ------------------------------------------------------------------------------------------------ redirects


def redirect(location, status="302 Found"):
    return answer(b"", f"Location: {location}", status=status)


def test_three_redirects_are_followed_and_the_last_url_is_told(origin, fetcher):
    origin.routes |= {f"/{n}": redirect(f"/{n + 1}") for n in range(3)} | {"/3": answer(b"hello")}
    fetched, body = fetch(fetcher(), f"{origin.base}/0")
    assert (fetched.url, fetched.filename, body) == (f"{origin.base}/3", "3", b"hello")


def test_a_fourth_redirect_is_not_followed(origin, fetcher, wire):
    origin.routes |= {f"/{n}": redirect(f"/{n + 1}") for n in range(4)} | {"/4": answer(b"hello")}
    assert failure(fetcher(), f"{origin.base}/0") == "fetch_failed"
    assert len(wire) == 4


@pytest.mark.parametrize("status", ["301 Moved Permanently", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_every_kind_of_redirect_is_followed(origin, fetcher, status):
    origin.routes |= {"/": redirect("/there", status), "/there": answer(b"hello")}
    assert fetch(fetcher(), origin.base)[1] == b"hello"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "http://2130706433:{port}/",
        "http://127.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::1]:{port}/",
        "http://canary.test:{port}/",
        "http://user:secret@127.0.0.2:{origin}/",
        "http://127.0.0.2:22/",
        "https://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.2/",
        "gopher://127.0.0.1:{port}/_x",
    ],
)
def test_a_redirect_is_judged_like_the_first_url(origin, canary, fetcher, nameserver, wire, location):
    nameserver.names["canary.test"] = [["127.0.0.1"]]
    origin.routes["/"] = redirect(location.format(port=canary.port, origin=origin.port))
    assert failure(fetcher(), origin.base) == "url_refused"
    assert (wire, canary.heads) == ([("127.0.0.2", origin.port)], [])


def test_only_the_address_kept_the_redirect_from_the_canary(origin, canary, fetcher):
    origin.routes["/"] = redirect(canary.base + "/")
    assert fetch(fetcher(allow_nets=["127.0.0.0/8"]), origin.base)[1] == b"secret"


@pytest.mark.parametrize(
    "location", ["http://[", "http://a b/", "http://\x01/", "http://127.0.0.2:99999/", "\\\\127.0.0.1\\", "http://ü\xff/", "http://" + "a" * 9000]
)
def test_a_redirect_to_nonsense_is_a_failure_of_the_fetch(origin, fetcher, wire, location):
    origin.routes["/"] = redirect(location)
    assert failure(fetcher(), origin.base) in {"fetch_failed", "url_refused"}
    assert {host for host, _ in wire} == {"127.0.0.2"}


@pytest.mark.parametrize(
    "trap",
    [
        flood(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", b"x" * 65536),
        answer(gzip.compress(b"\0" * 50_000_000), "Content-Encoding: gzip", "Location: /there", status="302 Found"),
    ],
    ids=["endless", "bomb"],
)
def test_the_body_of_a_redirect_is_not_read(origin, fetcher, trap):
    origin.routes |= {"/": trap, "/there": answer(b"hello")}
    assert fetch(fetcher(), origin.base, max_bytes=1000)[1] == b"hello"


# ------------------------------------------------------------------------------------------------ hostile answers


@pytest.mark.parametrize(
    "status",
    ["201 Created", "204 No Content", "206 Partial Content", "300 Choices", "304 Not Modified", "403 Forbidden", "404 Not Found", "500 Oops", "503 Busy"],
)
def test_only_200_is_a_success(origin, fetcher, status):
    origin.routes["/"] = answer(b"" if status[:3] in {"204", "304"} else b"hello", status=status)
    assert failure(fetcher(), origin.base) == "fetch_failed"


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"hello", length=6),
        answer(b"5\r\nhello\r\n", "Transfer-Encoding: chunked", length=None),
        answer(b"zz\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=None),
        answer(b"hello", "Transfer-Encoding: gzip", length=None),
        answer(b"hello", "Content-Length: 4"),
        answer(b"hello", "Content-Length: -5", length=None),
        b"hello",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2_000_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello",
    ],
    ids=["short", "no-last-chunk", "bad-chunk", "coded-transfer", "two-lengths", "negative-length", "http-0.9", "nothing", "huge-header", "upgrade"],
)
def test_a_broken_answer_is_a_failure_and_never_a_shorter_document(origin, fetcher, reply):
    origin.routes["/"] = reply
    assert failure(fetcher(), origin.base) == "fetch_failed"


def test_a_name_that_does_not_exist_and_a_closed_port_are_failures_of_the_fetch(origin, fetcher):
    assert failure(fetcher(), f"http://nowhere.test:{origin.port}/") == "fetch_failed"
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))  # bound and not listening: refused
        port = taken.getsockname()[1]
        assert failure(fetcher(ports=[port]), f"http://127.0.0.2:{port}/") == "fetch_failed"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "x-unknown", "identity"])
def test_an_answer_with_a_content_encoding_is_refused(origin, fetcher, coding):
    origin.routes |= {"/coded": answer(gzip.compress(b"\0" * 1_000_000), f"Content-Encoding: {coding}"), "/plain": answer(b"hello")}
    assert failure(fetcher(), f"{origin.base}/coded") == "fetch_failed"
    assert fetch(fetcher(), f"{origin.base}/plain")[1] == b"hello"


def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(origin, fetcher):
    for path, size in {"/1000": 1000, "/1001": 1001}.items():
        origin.routes[path] = answer(b"x" * size)
        origin.routes[path + "-until-close"] = answer(b"x" * size, length=None)
    for form in ("", "-until-close"):
        assert len(fetch(fetcher(), f"{origin.base}/1000{form}", max_bytes=1000)[1]) == 1000
        assert failure(fetcher(), f"{origin.base}/1001{form}", max_bytes=1000) == "too_large"


def test_a_promise_of_too_much_is_refused_before_the_body(origin, fetcher):
    origin.routes["/"] = drip(answer(length=1001), b"", every=60)
    with pytest.raises(ProcessingFailed) as failed, fetcher().fetch(origin.base, max_bytes=1000):
        pytest.fail("opened")
    assert failed.value.code == "too_large"


def test_an_endless_body_is_cut_and_no_byte_over_the_limit_is_handed_out(origin, fetcher):
    origin.routes["/"] = flood(answer(length=None), b"x" * 65536)
    taken = []
    with fetcher().fetch(origin.base, max_bytes=300_000) as fetched, pytest.raises(ProcessingFailed) as failed:
        taken.extend(fetched.chunks)
    assert failed.value.code == "too_large"
    assert 0 < sum(map(len, taken)) <= 300_000
    assert origin.gone.wait(10)


def test_what_carries_the_body_is_limited_too(origin, fetcher):
    origin.routes["/"] = flood(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000)
    assert failure(fetcher(), origin.base, max_bytes=1000) == "too_large"


def test_two_bodies_do_not_share_a_limit(origin, fetcher):
    origin.routes["/"] = answer(b"x" * 900_000)
    shared = fetcher()
    for _ in range(3):
        assert len(fetch(shared, origin.base, max_bytes=1_000_000)[1]) == 900_000


# ------------------------------------------------------------------------------------------------ time


@pytest.mark.parametrize(
    "reply",
    [
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"),
        drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        drip(answer(length=1_000_000), b"x"),
        drip(answer(length=None), b"x"),
        drip(answer(b"", "Transfer-Encoding: chunked", length=None), b"1\r\nx\r\n"),
    ],
    ids=["one-header", "headers", "hints", "body", "body-until-close", "chunks"],
)
def test_an_answer_that_never_ends_meets_the_deadline_though_no_read_waits_long(origin, fetcher, reply):
    origin.routes["/"] = reply
    assert failure(fetcher(timeout_seconds=1), origin.base) == "timeout"
    assert origin.gone.wait(10)


def test_redirects_share_one_deadline(origin, fetcher):
    def slowly(send, stop):
        stop.wait(0.4)
        send(redirect("/"))

    origin.routes["/"] = slowly
    assert failure(fetcher(timeout_seconds=0.6), origin.base) == "timeout"


def test_a_silent_origin_meets_the_deadline_though_reads_may_wait_longer(origin, fetcher):
    origin.routes["/"] = drip(b"", b"", every=60)
    assert failure(fetcher(timeout_seconds=1, read_seconds=1000), origin.base) == "timeout"


def test_a_silent_origin_is_given_up_before_the_deadline(origin, fetcher):
    origin.routes |= {"/head": drip(b"", b"", every=60), "/body": drip(answer(length=10), b"", every=60)}
    patient = fetcher(timeout_seconds=60, read_seconds=0.3)
    assert failure(patient, f"{origin.base}/head") == "fetch_failed"
    assert failure(patient, f"{origin.base}/body") == "fetch_failed"


def test_a_silent_nameserver_is_given_up(origin, fetcher, nameserver, wire):
    nameserver.mute = True
    assert failure(fetcher(timeout_seconds=1.5), f"http://import.test:{origin.port}/") == "fetch_failed"  # with time left for the connection
    assert wire == []


def test_a_silent_system_resolver_is_given_up(origin, fetcher, wire, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *query: released.wait(60) and [])
    try:
        assert failure(fetcher(nameserver=None, timeout_seconds=1.5), f"http://import.test:{origin.port}/") == "fetch_failed"
        assert not released.is_set()
    finally:
        released.set()
    assert wire == []


# ------------------------------------------------------------------------------------------------ stopped by whoever asked


class NotWanted(Exception):
    pass


@pytest.mark.parametrize("path", ["/head", "/body"])
def test_a_fetch_that_is_not_wanted_any_more_ends_while_it_waits(origin, fetcher, monkeypatch, path):
    monkeypatch.setattr(http_limits, "_CHECK_SECONDS", 0.05)
    origin.routes |= {"/head": drip(b"", b"", every=60), "/body": drip(answer(length=10), b"", every=60)}
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 4:
            raise NotWanted

    with pytest.raises(NotWanted), fetcher(read_seconds=1000).fetch(f"{origin.base}{path}", max_bytes=100, check=check) as fetched:
        list(fetched.chunks)


@pytest.mark.parametrize("tls", [False, True])
def test_being_asked_while_it_waits_takes_nothing_from_the_answer(origin, fetcher, nameserver, monkeypatch, tmp_path, tls):
    monkeypatch.setattr(http_limits, "_CHECK_SECONDS", 0.01)
    asked = []

    def slowly(send, stop):
        for piece in (b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 9\r\n\r\nab", b"cde", b"fghi"):
            stop.wait(0.1)
            send(piece)

    with secure(tmp_path, "import.test") if tls else contextlib.nullcontext(origin) as asking:
        asking.routes["/"] = slowly
        made = fetcher(ports=[asking.port])
        if tls:
            nameserver.names["import.test"] = [["127.0.0.2"]]
            made._guard._ssl.load_verify_locations(tmp_path / "import.test.pem")
        url = f"https://import.test:{asking.port}/" if tls else f"{asking.base}/"
        with made.fetch(url, max_bytes=100, check=lambda: asked.append(1)) as fetched:
            assert b"".join(fetched.chunks) == b"abcdefghi"
    assert len(asked) > 8


# ------------------------------------------------------------------------------------------------ leaving


def test_the_caller_may_leave_early_and_nothing_stays_open(origin, fetcher):
    origin.routes["/"] = flood(answer(length=None), b"x" * 65536)
    with fetcher().fetch(origin.base, max_bytes=1 << 30) as fetched:
        assert next(fetched.chunks)
    assert origin.gone.wait(10)


def test_the_callers_own_error_passes_as_it_is(origin, fetcher):
    origin.routes["/"] = answer(b"hello")
    with pytest.raises(KeyError), fetcher().fetch(origin.base, max_bytes=1000):
        raise KeyError("ours")


def test_a_failure_tells_the_client_nothing_of_where_we_went(canary, fetcher):
    with pytest.raises(ProcessingFailed) as failed:
        fetch(fetcher(), f"{canary.base}/?sign={'secret'[::-1]}")
    assert "127.0.0.1" not in failed.value.message
    assert "terces" not in "".join(traceback.format_exception(failed.value))


# ------------------------------------------------------------------------------------------------ TLS


def secure(folder, name):
    return servers.Origin("127.0.0.2", context=servers.certificate(name, folder))


def test_https_is_verified_against_the_name_and_not_the_address(fetcher, nameserver, tmp_path):
    nameserver.names |= {"import.test": [["127.0.0.2"]], "other.test": [["127.0.0.2"]]}
    with secure(tmp_path, "import.test") as origin:
        origin.routes["/"] = answer(b"hello")
        trusting, strict = fetcher(ports=[origin.port]), fetcher(ports=[origin.port])
        trusting._guard._ssl.load_verify_locations(tmp_path / "import.test.pem")
        assert fetch(trusting, f"https://import.test:{origin.port}/")[1] == b"hello"
        assert failure(trusting, f"https://other.test:{origin.port}/") == "fetch_failed"
        assert failure(strict, f"https://import.test:{origin.port}/") == "fetch_failed"


def test_the_limits_hold_inside_tls(fetcher, nameserver, tmp_path):
    nameserver.names["import.test"] = [["127.0.0.2"]]
    with secure(tmp_path, "import.test") as origin:
        origin.routes |= {"/slow": drip(answer(length=None), b"x"), "/endless": flood(answer(length=None), b"x" * 65536)}
        trusting = fetcher(ports=[origin.port], timeout_seconds=1)
        trusting._guard._ssl.load_verify_locations(tmp_path / "import.test.pem")
        assert failure(trusting, f"https://import.test:{origin.port}/slow") == "timeout"
        assert failure(trusting, f"https://import.test:{origin.port}/endless", max_bytes=300_000) == "too_large"


def test_a_handshake_that_never_comes_meets_the_deadline(origin, fetcher):
    assert failure(fetcher(timeout_seconds=1, connect_seconds=1000), f"https://127.0.0.2:{origin.port}/") == "timeout"


# ------------------------------------------------------------------------------------------------ file names


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=a.pdf", "a.pdf"),
        ("inline;FileName = a.pdf ;size=3", "a.pdf"),
        ('attachment; filename="a\\"b;c.pdf"', 'a"b;c.pdf'),
        ('attachment; filename="a%20b.pdf"', "a%20b.pdf"),
        ("attachment; filename*=UTF-8''%E2%82%AC%20rates.pdf", "€ rates.pdf"),
        ("attachment; filename=\"fallback.pdf\"; filename*=utf-8'en'na%C3%AFve.pdf", "naïve.pdf"),
        ("attachment; filename*=utf-8''na%C3%AFve.pdf; filename=fallback.pdf", "naïve.pdf"),
        ("attachment; filename*=ISO-8859-1''na%EFve.pdf", "naïve.pdf"),
        ("attachment; filename=fallback.pdf; filename*=UTF-8''%ff.pdf", "fallback.pdf"),
        ("attachment; filename=fallback.pdf; filename*=punycode''a-b", "fallback.pdf"),
        ("attachment; filename=fallback.pdf; filename*=UTF-8", "fallback.pdf"),
        ('attachment; note="; filename=evil.exe"; filename=good.pdf', "good.pdf"),
        ('attachment; filename="été.pdf"', "été.pdf"),
        ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ("attachment", "from path.pdf"),
        ('attachment; filename=""', "from path.pdf"),
        ('attachment; filename="unterminated', "from path.pdf"),
        ("", "from path.pdf"),
        ("attachment; " + "x" * 50_000, "from path.pdf"),
    ],
)
def test_the_name_is_that_of_the_content_disposition_else_of_the_path(origin, fetcher, disposition, name):
    origin.routes["/a/from%20path.pdf"] = answer(b"hello", f"Content-Disposition: {disposition}")
    assert fetch(fetcher(), f"{origin.base}/a/from%20path.pdf")[0].filename == name


def test_no_name_at_all_is_none(origin, fetcher):
    origin.routes["/"] = answer(b"hello")
    assert fetch(fetcher(), origin.base)[0].filename is None


@pytest.mark.parametrize("value", ["", "pdf", "a b/c", "text/html,a", "text/" + "x" * 200])
def test_a_content_type_that_is_none_is_none(origin, fetcher, value):
    origin.routes["/"] = answer(b"hello", f"Content-Type: {value}")
    assert fetch(fetcher(), origin.base)[0].media_type is None


# ------------------------------------------------------------------------------------------------ the policy itself


@pytest.mark.parametrize(
    "policy",
    [
        FetchPolicy(allow_nets=["10.0.0.0/33"]),
        FetchPolicy(allow_nets=["64:ff9b::/96"]),
        FetchPolicy(allow_nets=["intranet"]),
        FetchPolicy(ports=[]),
        FetchPolicy(ports=[70000]),
        FetchPolicy(nameserver="dns.example:53"),
        FetchPolicy(nameserver="127.0.0.1:dns"),
        FetchPolicy(nameserver=""),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_at_the_start(policy):
    with pytest.raises(ValueError, match=r"."):
        GuardedFetcher(policy)
