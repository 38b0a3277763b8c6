"""TLS in the process: a socket is handed off, never parked, since its bytes pass through the transport."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import uvicorn
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.api.http_protocol import HttpProtocol
from app.api.websocket.framed import Framed
from app.api.websocket.lines import Lines
from app.api.websocket.protocol import SocketProtocol
from app.main import Server
from tests.integration.origin import certificate

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[pytest.param(("asyncio", {"use_uvloop": uvloop}), id="uvloop" if uvloop else "asyncio") for uvloop in (True, False)])
def anyio_backend(request):
    return request.param


async def test_over_tls_a_socket_stays_on_its_transport_and_all_else_is_the_same(tmp_path):
    lines, taken, gone = Lines(), [], asyncio.Event()

    async def application(scope, receive, send) -> None:
        assert scope["scheme"] == "wss"
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        line = lines.take(websocket)
        assert isinstance(line, Framed)
        taken.append(line)
        line.on_gone = gone.set
        await line.settle()

    config = uvicorn.Config(application, http=HttpProtocol, ws="app.api.websocket.protocol:SocketProtocol", lifespan="off", log_config=None)
    config.load()
    config.ssl = certificate("localhost", tmp_path)
    server = Server(config, lines, drain_seconds=0)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "localhost.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        url = f"wss://127.0.0.1:{listening.getsockname()[1]}/"
        async with connect(url, proxy=None, compression=None, ssl=trusting, server_hostname="localhost", max_size=None) as client:
            sent = ["x" * 200_000, "", "end"]
            telling = taken[0]
            for message in sent:
                await telling.room()
                assert telling.send(message.encode())
            assert [await client.recv() for _ in sent] == sent
            await (await client.ping())
            assert isinstance(telling.wire, SocketProtocol)
            telling.close(1000)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1000
        await asyncio.wait_for(gone.wait(), 20)
        async with connect(url, proxy=None, compression=None, ssl=trusting, server_hostname="localhost") as client:
            await client.send("dropped" * 20_000)
            server.should_exit = True
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        await running
    assert len(lines) == 0
