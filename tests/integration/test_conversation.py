"""The ASGI side of our protocol class, before real clients: any application runs on it as on another server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.api.http_protocol import HttpProtocol

pytestmark = pytest.mark.anyio

GOOD = {
    "Host": "h", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}  # fmt: skip


@pytest.fixture(params=[pytest.param(("asyncio", {"use_uvloop": uvloop}), id="uvloop" if uvloop else "asyncio") for uvloop in (True, False)])
def anyio_backend(request):
    return request.param


@asynccontextmanager
async def serving(application, **config) -> AsyncIterator[tuple[str, int]]:
    server = uvicorn.Server(
        uvicorn.Config(application, http=HttpProtocol, ws="app.api.websocket.protocol:SocketProtocol", lifespan="off", log_config=None, **config)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            await running
            assert server.server_state.connections == set()


@pytest.fixture
async def serve(anyio_backend):
    async with AsyncExitStack() as stack:
        yield lambda application, **config: stack.enter_async_context(serving(application, **config))


def at(address: tuple[str, int], path: str = "/", **more) -> connect:
    return connect(f"ws://127.0.0.1:{address[1]}{path}", proxy=None, **more)


async def raw(address: tuple[str, int], head: dict[str, str], *, first: str = "GET / HTTP/1.1") -> bytes:
    """All that is answered."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write("\r\n".join([first, *(f"{name}: {value}" for name, value in head.items()), "", ""]).encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


async def echo(scope, receive, send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def test_scope_subprotocol_and_headers_are_as_asked(serve):
    scopes = []

    async def application(scope, receive, send) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-ours", b"1")]})
        await send({"type": "websocket.close", "code": 4321, "reason": "done"})

    address = await serve(application, root_path="/root")
    async with at(address, "/a%20b?c=d%20e", subprotocols=["a", "b"], additional_headers={"X-Theirs": "2"}) as client:
        assert client.subprotocol == "b"
        assert client.response.headers["x-ours"] == "1"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4321, "done")
    (scope,) = scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/root/a b", b"/root/a%20b", b"c=d%20e")
    assert (scope["scheme"], scope["subprotocols"], scope["client"][0], scope["server"]) == ("ws", ["a", "b"], "127.0.0.1", address)
    assert (b"x-theirs", b"2") in scope["headers"]


async def test_texts_and_bytes_of_any_size_are_echoed_and_fragments_put_together(serve):
    address = await serve(echo, ws_max_size=1 << 20)
    async with at(address, max_size=None) as client:
        for message in ("", "x" * 125, "ü" * 65536, b"", b"x" * 65535, b"x" * 500_000):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["fr", "ag", "ments"])
        assert await client.recv() == "fragments"


async def test_an_application_that_does_not_receive_lets_the_client_wait(serve):
    proceed = asyncio.Event()
    got = []

    async def application(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await proceed.wait()
        while (event := await receive())["type"] == "websocket.receive":
            got.append(event["bytes"])

    address = await serve(application, ws_max_size=1 << 20)
    async with at(address) as client:
        sending = asyncio.create_task(client.send(b"x" * 1_000_000))
        for _ in range(20):
            await asyncio.wait({sending}, timeout=0.2)
            if not sending.done():
                break
            sending = asyncio.create_task(client.send(b"x" * 1_000_000))
        assert not sending.done()
        proceed.set()
        await sending
        await client.close()
    async with asyncio.timeout(20):
        while not got:
            await asyncio.sleep(0.01)
    assert {len(each) for each in got} == {1_000_000}


async def test_the_client_s_close_is_told_with_its_code(serve):
    told = asyncio.get_running_loop().create_future()

    async def application(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.set_result(await receive())
        with pytest.raises(OSError):
            await send({"type": "websocket.send", "text": "too late"})

    async with at(await serve(application)) as client:
        await client.close(3456)
    assert (await told)["code"] == 3456


@pytest.mark.parametrize(("events", "status", "body"), [
    ([{"type": "websocket.close"}], 403, b'"code":"forbidden"'),
    ([{"type": "websocket.http.response.start", "status": 429, "headers": [(b"x-a", b"b")]}, {"type": "websocket.http.response.body", "body": b"no"}], 429, b"no"),
    ([{"type": "websocket.http.response.start", "status": 404, "headers": []}, {"type": "websocket.http.response.body", "body": b"n", "more_body": True},
      {"type": "websocket.http.response.body", "body": b"o"}], 404, b"no"),
    ([], 500, b'"code":"internal"'),
])  # fmt: skip
async def test_a_refusal_is_an_http_answer(serve, events, status, body):
    async def application(scope, receive, send) -> None:
        await receive()
        for event in events:
            await send(event)

    address = await serve(application)
    with pytest.raises(InvalidStatus) as refused:
        async with at(address):
            pass
    assert refused.value.response.status_code == status
    answer = await raw(address, GOOD)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.endswith(body) or body in answer


@pytest.mark.parametrize(("change", "first", "status"), [
    ({"Sec-WebSocket-Key": "AAAA"}, None, 400), ({"Sec-WebSocket-Key": "not base64 at all!!!!!=="}, None, 400), ({"Sec-WebSocket-Key": None}, None, 400),
    ({"Sec-WebSocket-Version": "8"}, None, 426), ({"Sec-WebSocket-Version": None}, None, 426), ({}, "POST / HTTP/1.1", 400),
])  # fmt: skip
async def test_what_is_no_handshake_is_refused_before_the_application_hears_of_it(serve, change, first, status):
    async def application(scope, receive, send) -> None:
        raise AssertionError(scope)

    head = {name: value for name, value in (GOOD | change).items() if value is not None}
    answer = await raw(await serve(application), head, first=first or "GET / HTTP/1.1")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'"code":"invalid_handshake"' in answer
    assert (b"sec-websocket-version: 13" in answer.lower()) == (status == 426)


async def test_an_application_that_breaks_is_said_and_logged(serve, caplog):
    async def application(scope, receive, send) -> None:
        await receive()
        if scope["path"] == "/accepted":
            await send({"type": "websocket.accept"})
        raise ValueError("broken")

    address = await serve(application)
    with caplog.at_level(logging.ERROR):
        with pytest.raises(InvalidStatus) as refused:
            async with at(address):
                pass
        assert refused.value.response.status_code == 500
        async with at(address, "/accepted") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1011
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["broken", "broken"]


async def test_an_application_that_returns_closes_its_socket(serve):
    async def application(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    async with at(await serve(application)) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1000


async def test_a_client_that_goes_before_it_is_answered_leaves_nothing(serve):
    ended = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def application(scope, receive, send) -> None:
        await receive()
        asked.set()
        event = await receive()
        try:
            await send({"type": "websocket.accept"})
        except OSError as error:
            ended.set_result((event, error))
            raise

    address = await serve(application)
    _, writer = await asyncio.open_connection(*address)
    writer.write("\r\n".join(["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in GOOD.items()), "", ""]).encode())
    await asked.wait()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(20):
        event, _ = await ended
    assert (event["type"], event["code"]) == ("websocket.disconnect", 1006)


async def test_a_server_that_stops_ends_what_is_open_and_what_is_not_answered(serve, anyio_backend):
    asked = asyncio.Event()

    async def application(scope, receive, send) -> None:
        await receive()
        asked.set()
        if scope["path"] == "/open":
            await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with AsyncExitStack() as stack:
        async with serving(application) as address:
            client = await stack.enter_async_context(at(address, "/open"))
            asked.clear()
            waiting = asyncio.create_task(raw(address, GOOD))
            await asked.wait()
        assert (await waiting).startswith(b"HTTP/1.1 503 ")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1012
