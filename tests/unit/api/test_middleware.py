import asyncio

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from app.api import middleware
from app.api.middleware import Drain
from tests.unit.api.asgi import GONE, SILENT, request

pytestmark = pytest.mark.anyio

LONG = {"content-length": "99999999"}
KIB = 1024


@Drain
async def refusing(scope, receive, send):
    await PlainTextResponse("no", status_code=401)(scope, receive, send)


@Drain
async def reading(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("ok")(scope, receive, send)


@Drain
async def streaming(scope, receive, send):
    async def words():
        yield "a"
        yield "b"

    await StreamingResponse(words())(scope, receive, send)


async def test_an_early_refusal_is_sent_before_the_rest_is_read_and_closes_the_connection():
    answer = await request(refusing, "POST", "/", [b"x" * KIB] * 5, headers=LONG)
    assert (answer.status, answer.body, answer.headers["connection"]) == (401, b"no", "close")
    assert answer.received_before_answer == 0
    assert answer.received_bytes == 5 * KIB
    bodies = [message for message in answer.sent if message["type"] == "http.response.body"]
    assert [message.get("more_body", False) for message in bodies] == [True, False], "the end of the answer is said after the draining"


async def test_no_more_than_a_mebibyte_is_dropped():
    answer = await request(refusing, "POST", "/", [b"x" * 64 * KIB] * 100, headers=LONG)
    assert answer.received_bytes == 1024 * KIB


async def test_a_client_that_sends_nothing_more_is_waited_for_no_longer_than_the_time(monkeypatch):
    assert middleware._DRAIN_SECONDS == 2.0
    monkeypatch.setattr(middleware, "_DRAIN_SECONDS", 0.01)
    answer = await asyncio.wait_for(request(refusing, "POST", "/", [b"x", SILENT], headers=LONG), 20)
    assert (answer.status, answer.sent[-1]["more_body"]) == (401, False)


async def test_a_client_that_goes_away_ends_the_draining():
    answer = await asyncio.wait_for(request(refusing, "POST", "/", [b"x", GONE, SILENT], headers=LONG), 20)
    assert answer.received == 2


@pytest.mark.parametrize("headers", [LONG, {"transfer-encoding": "chunked"}])
async def test_a_body_without_a_length_is_drained_too(headers):
    answer = await request(refusing, "POST", "/", [b"x" * KIB] * 3, headers=headers)
    assert answer.received_bytes == 3 * KIB


@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}])
async def test_without_a_body_the_connection_is_kept_and_nothing_is_read(headers):
    answer = await request(refusing, "GET", "/", headers=headers)
    assert (answer.received, "connection" in answer.headers, len(answer.sent)) == (0, False, 2)


async def test_after_a_body_that_was_read_the_connection_is_kept():
    answer = await request(reading, "POST", "/", [b"x"] * 3, headers=LONG)
    assert (answer.status, "connection" in answer.headers, answer.received) == (200, False, 3)


async def test_an_answer_that_streams_comes_whole():
    answer = await request(streaming, "POST", "/", [b"x"] * 3, headers=LONG)
    assert (answer.body, answer.headers["connection"], answer.sent[-1]["more_body"]) == (b"ab", "close", False)


async def test_sockets_pass_untouched():
    seen = []

    async def inner(scope, receive, send):
        seen.append((scope, receive, send))

    await Drain(inner)({"type": "websocket"}, 1, 2)
    assert seen == [({"type": "websocket"}, 1, 2)]
