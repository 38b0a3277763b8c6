"""Webhooks over HTTP, against a receiver on an allowed address and one that is not."""

import pytest

from app.adapters.http_guard import FetchPolicy
from app.adapters.http_post import HttpWebhookSender
from app.domain.errors import ProcessingFailed
from tests.integration.origin import answer
from tests.integration.test_http_fetch import canary, nameserver, origin, pytestmark, redirect, wire  # noqa: F401 - fixtures


@pytest.fixture
def sender(origin, canary, nameserver):  # noqa: F811
    return HttpWebhookSender(FetchPolicy(allow_nets=("127.0.0.2/32",), ports=(origin.port, canary.port), nameserver=nameserver.address))


def refusal(sender, url, *, guarded=True):
    with pytest.raises(ProcessingFailed) as refused:
        sender.send(url, b"{}", {}, guarded=guarded)
    return refused.value.code


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "202 Accepted"])
def test_a_message_is_posted_and_a_2xx_is_taken(origin, sender, guarded, status):  # noqa: F811
    origin.routes["/hook"] = answer(b"ignored" * 100 if status[:3] == "200" else b"", status=status)
    sender.send(f"{origin.base}/hook", b'{"a":1}', {"webhook-id": "msg_1"}, guarded=guarded)
    head, _, body = origin.heads[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"\r\nwebhook-id: msg_1" in head
    assert b"\r\nContent-Type: application/json" in head
    assert b'{"a":1}'.startswith(body)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("status", ["301 Moved", "400 Bad", "410 Gone", "429 Slow", "500 Oops", "101 Switching Protocols"])
def test_anything_else_is_not_taken_and_no_redirect_is_followed(origin, canary, sender, wire, guarded, status):  # noqa: F811
    origin.routes["/"] = redirect(canary.base, status)
    assert refusal(sender, origin.base, guarded=guarded) == "fetch_failed"
    assert canary.heads == []


def test_a_strangers_url_reaches_no_address_that_is_not_allowed(canary, sender, nameserver, wire):  # noqa: F811
    nameserver.names["hook.test"] = [["127.0.0.1"]]
    assert refusal(sender, canary.base) == "url_refused"
    assert refusal(sender, f"http://hook.test:{canary.port}/") == "url_refused"
    assert wire == []


def test_the_operators_own_may(canary, sender):  # noqa: F811
    canary.routes["/"] = answer(b"")
    sender.send(canary.base + "/", b"{}", {}, guarded=False)
    assert len(canary.heads) == 1


@pytest.mark.parametrize("guarded", [True, False])
def test_a_receiver_that_is_not_there_is_a_failure(origin, sender, guarded):  # noqa: F811
    origin.server_close()
    assert refusal(sender, origin.base, guarded=guarded) == "fetch_failed"
