"""What a connection may do before there is a request: by hand, on uvicorn with our protocol."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn

from app.api import http_protocol
from app.api.http_protocol import HEAD_BYTES, HttpProtocol

pytestmark = pytest.mark.anyio

GET = b"GET /echo?x HTTP/1.1\r\nHost: h\r\n"


async def echo(scope, receive, send):
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = scope["path"].encode() + b" " + body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]})
    await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def served():
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(echo, http=HttpProtocol, lifespan="off", log_config=None, server_header=False))
    running = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def connected():
    async with served() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer, server
        finally:
            writer.close()


async def answer(reader):
    """Status, headers and body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status = int(head.split()[1])
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    return status, fields, await reader.readexactly(int(fields["content-length"]))


async def refused(reader):
    status, fields, body = await answer(reader)
    assert (fields["content-type"], fields["connection"]) == ("application/problem+json", "close")
    with suppress(ConnectionResetError):  # of a client that sends on
        assert await reader.read() == b""
    assert json.loads(body)["status"] == status
    return status, json.loads(body)["code"]


async def test_requests_follow_one_another_on_a_connection():
    async with connected() as (reader, writer, _):
        for body in (b"", b"hello", b"x" * 200_000):
            writer.write(GET + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert (await answer(reader))[2] == b"/echo " + body


async def test_requests_in_one_piece_are_all_answered():
    async with connected() as (reader, writer, _):
        writer.write((GET + b"\r\n") * 3)
        assert [(await answer(reader))[0] for _ in range(3)] == [200] * 3


async def test_a_head_of_the_limit_passes():
    async with connected() as (reader, writer, _):
        writer.write(GET + b"X: " + b"a" * (HEAD_BYTES - 200) + b"\r\n\r\n")
        assert (await answer(reader))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"a" * (HEAD_BYTES + 1) + b"\r\n\r\n",
        GET + b"X: " + b"a" * 8_000_000,
        GET + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
    ids=["whole", "endless", "many", "url"],
)
async def test_a_larger_head_is_refused_whether_it_ends_or_not(head):
    async with connected() as (reader, writer, _):
        writer.write(head)
        assert await refused(reader) == (431, "head_too_large")


async def test_a_large_body_is_no_large_head():
    async with connected() as (reader, writer, _):
        body = b"x" * (4 * HEAD_BYTES)
        writer.write(GET + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await answer(reader))[0] == 200


async def test_a_connection_that_says_nothing_is_closed(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, _, server):
        assert await reader.read() == b""
        assert not server.server_state.connections


async def test_half_a_head_is_answered_and_closed(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, writer, _):
        writer.write(GET + b"X: ")
        assert await refused(reader) == (408, "request_timeout")


async def test_a_byte_now_and_then_does_not_move_the_deadline(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    async with connected() as (reader, writer, _):
        writer.write(GET + b"X: ")

        async def drip():
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await answer(reader))[0] == 408
        dripping.cancel()


async def test_half_a_second_head_is_closed_too(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    async with connected() as (reader, writer, _):
        writer.write(GET + b"\r\n")
        assert (await answer(reader))[0] == 200
        writer.write(b"GET /echo HTTP/1.1\r\nHo")
        assert await refused(reader) == (408, "request_timeout")


async def test_a_body_may_take_longer_than_a_head(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, writer, _):
        writer.write(GET + b"Content-Length: 2\r\n\r\na")
        await asyncio.sleep(0.2)
        writer.write(b"b")
        assert (await answer(reader))[2] == b"/echo ab"
