"""URL import from an origin whose answers break off."""

import pytest

from tests.integration.origin import answer
from tests.integration.test_http_fetch import (  # noqa: F401 - fixtures
    canary,
    failure,
    fetch,
    fetcher,
    nameserver,
    origin,
    pytestmark,
    wire,
)  # fmt: skip

BODY = bytes(range(256)) * 1000
TAG = 'ETag: "v1"'


def part(start, *headers, body=None, of=None, tag=TAG):
    rest = BODY[start:] if body is None else body
    fields = [f"Content-Range: bytes {start}-{len(BODY) - 1}/{of or len(BODY)}", *([tag] if tag else []), *headers]
    return answer(rest, *fields, status="206 Partial Content", length=len(BODY) - start)


def broken(upto, *headers):
    return answer(BODY[:upto], *headers, length=len(BODY))


@pytest.fixture
def replies(origin):  # noqa: F811 - a fixture
    """The answers to one request after the other; what was asked is in `origin.heads`."""
    left = []

    def reply(send, stop):
        send(left.pop(0))

    origin.routes["/"] = reply
    return left


def asked(origin, number):  # noqa: F811
    return {name: value for name, _, value in (line.partition(": ") for line in origin.heads[number].decode().split("\r\n")) if name in {"Range", "If-Range"}}


def test_a_body_that_breaks_off_goes_on_where_it_was(origin, fetcher, replies):  # noqa: F811
    replies += [broken(1000, TAG), part(1000, body=BODY[1000:50_000]), part(50_000)]
    assert fetch(fetcher(), origin.base)[1] == BODY
    assert [asked(origin, n) for n in range(3)] == [{}, {"Range": "bytes=1000-", "If-Range": '"v1"'}, {"Range": "bytes=50000-", "If-Range": '"v1"'}]


def test_a_body_that_stalls_goes_on_too(origin, fetcher, replies):  # noqa: F811
    def reply(send, stop):
        if len(origin.heads) == 1:
            send(broken(1000, TAG))
            stop.wait(60)
        else:
            send(part(1000))

    origin.routes["/"] = reply
    assert fetch(fetcher(read_seconds=0.2), origin.base)[1] == BODY


@pytest.mark.parametrize("tag", [None, 'ETag: W/"v1"', "ETag: v1", "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT"])
def test_without_a_strong_name_of_its_version_nothing_is_put_together(origin, fetcher, replies, tag):  # noqa: F811
    replies += [broken(1000, *([tag] if tag else [])), part(1000)]
    assert failure(fetcher(), origin.base) == "fetch_failed"
    assert len(origin.heads) == 1


@pytest.mark.parametrize(
    "second",
    [
        answer(BODY, 'ETag: "v2"'),
        answer(BODY, TAG),
        part(1000, tag='ETag: "v2"'),
        part(1000, tag=None),
        part(999),
        part(1001),
        part(1000, "Content-Encoding: gzip"),
        answer(BODY[1000:], TAG, status="206 Partial Content"),
        answer(b"", "Location: /there", status="302 Found"),
        answer(status="416 Range Not Satisfiable"),
        b"",
    ],
    ids=["new", "whole", "new-part", "no-tag", "before", "after", "coded", "no-range", "redirect", "416", "nothing"],
)
def test_an_answer_that_is_not_the_rest_of_the_same_is_a_failure(origin, fetcher, replies, second):  # noqa: F811
    origin.routes["/there"] = part(1000)
    replies += [broken(1000, TAG), second]
    assert failure(fetcher(), origin.base) == "fetch_failed"
    assert len(origin.heads) == 2


def test_a_server_that_only_breaks_off_is_given_up(origin, fetcher, replies):  # noqa: F811
    replies += [broken(1000, TAG), part(1000, body=b""), part(1000)]
    assert failure(fetcher(), origin.base) == "fetch_failed"
    assert len(origin.heads) == 2


def test_a_server_that_breaks_off_again_and_again_is_given_up(origin, fetcher, replies):  # noqa: F811
    replies += [broken(1, TAG), *(part(n, body=BODY[n : n + 1]) for n in range(1, 50))]
    assert failure(fetcher(), origin.base) == "fetch_failed"
    assert len(origin.heads) == 6


def test_the_limit_counts_over_all_parts(origin, fetcher, replies):  # noqa: F811
    replies += [answer(BODY[:1000], TAG, "Transfer-Encoding: chunked", length=None)[: -len(BODY[:1000])] + b"3e8\r\n" + BODY[:1000] + b"\r\n", part(1000)]
    assert failure(fetcher(), origin.base, max_bytes=100_000) == "too_large"


def test_every_part_is_fetched_under_guard(origin, canary, fetcher, replies, nameserver, wire):  # noqa: F811
    nameserver.names["import.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    replies += [broken(1000, TAG)]
    canary.routes["/"] = part(1000)
    assert failure(fetcher(), f"http://import.test:{origin.port}/") == "url_refused"
    assert wire == [("127.0.0.2", origin.port)]
