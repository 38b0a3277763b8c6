"""Who may open a socket, on the running stack: the address that was answered, the bare name, the pages of a browser."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.client import Client, ends, until_closed


def address(client: Client, channel: str) -> str:
    answer = client.http.post("/public/sources/ws", json={"ws-uuid": channel})
    return str(answer.json()["ws-address"])


def refusal(url: str, **more) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None, **more):
        pass
    return refused.value.response.status_code, refused.value.response.body.decode()


def test_a_self_built_address_of_a_guessable_name_is_refused_and_says_why(client: Client) -> None:
    given = address(client, f"invoice-{uuid.uuid4().int % 1000}-{uuid.uuid4()}")
    status, body = refusal(given.partition("?")[0])
    assert (status, "token_required" in body, "ws-address" in body) == (403, True, True)
    with connect(given, proxy=None) as ws:
        ws.ping().wait(10)


def test_the_token_comes_back_as_often_as_its_client(client: Client) -> None:
    given = address(client, f"job.{uuid.uuid4()}")
    channel = given.partition("/ws/")[2].partition("?")[0]
    with connect(given, proxy=None) as ws:
        client.upload(channel, b"some words")
        ws.recv(timeout=30)
    with connect(given, proxy=None) as ws:
        assert len(ends(until_closed(ws))) == 1


@pytest.mark.parametrize(("page", "opens"), [("http://localhost:3000", True), ("https://127.0.0.1", True), ("http://evil.example", False), ("null", False)])
def test_the_embedded_stack_lets_pages_of_this_machine_in_and_no_others(client: Client, page: str, opens: bool) -> None:
    given = address(client, str(uuid.uuid4()))
    if opens:
        with connect(given, proxy=None, origin=page) as ws:
            ws.ping().wait(10)
    else:
        status, body = refusal(given, origin=page)
        assert (status, "origin_refused" in body) == (403, True)


def test_one_socket_too_many_on_a_channel_is_refused_and_the_rest_stay(client: Client) -> None:
    channel = client.register(**{"keep-open": True})
    with ExitStack() as opened:
        held = [opened.enter_context(client.socket(channel)) for _ in range(16)]
        status, body = refusal(f"ws{client.base_url.removeprefix('http')}/ws/{channel}")
        assert (status, "too_many_sockets" in body) == (429, True)
        for ws in held:
            ws.ping().wait(10)


def test_no_token_stands_in_the_log_and_a_refusal_is_no_error_there(client: Client, stack) -> None:
    channel = f"quiet-{uuid.uuid4()}"
    given = address(client, channel)
    token = given.partition("token=")[2]
    with connect(given, proxy=None) as ws:
        ws.ping().wait(10)
    refusal(given + "x")
    refusal(given, origin="http://evil.example")
    refusal(given.partition("?")[0], subprotocols=["headrace", f"headrace.token.{token[:-1]}"])
    logs = sorted((stack.folder / "logs").glob("*.log"))
    assert "api1.log" in [log.name for log in logs]
    written = "\n".join([*stack.output, *(log.read_text() for log in logs)])
    assert token[:-1] not in written
    assert "without completing handshake" not in written
