"""The application while its process stops: what it says to balancers, to new clients and to those that are there."""

from __future__ import annotations

import asyncio
import json
import socket
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.api.http_protocol import HttpProtocol
from app.api.websocket.lines import Lines
from app.domain.ids import ChannelId
from app.main import Server
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, House

pytestmark = pytest.mark.anyio

UUID = "0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ready(port: int) -> tuple[int, str]:
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/readyz"), timeout=20) as answer:
            return answer.status, json.load(answer)["status"]
    except HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)["status"]


async def test_a_process_that_stops_is_not_ready_takes_no_sockets_and_gives_back_every_seat():
    async with House() as house:
        await house.access.register(ADA, ChannelId(UUID), explicit=True)
        lines = Lines()
        server = Server(
            uvicorn.Config(application(house, lines), http=HttpProtocol, ws="app.api.websocket.protocol:SocketProtocol", lifespan="off", log_config=None),
            lines,
            drain_seconds=1,
        )
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            url = f"ws://127.0.0.1:{port}/ws/{UUID}"
            running = asyncio.create_task(server.serve([listening]))
            with socket.create_connection(("127.0.0.1", port)) as mute:  # never answers a close, so it takes its two seconds
                mute.sendall(
                    f"GET /ws/{UUID} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
                )
                async with connect(url, proxy=None) as client:
                    assert house.sockets.open == 2
                    assert await asyncio.to_thread(ready, port) == (200, "ok")
                    server.should_exit = True
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                    assert client.close_code == 1012
                assert await asyncio.to_thread(ready, port) == (503, "stopping")
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(url, proxy=None):
                        pass
                response = refused.value.response
                assert (response.status_code, json.loads(response.body)["code"], response.headers["retry-after"]) == (503, "stopping", "5")
                assert not running.done()
                await asyncio.wait_for(running, 20)
        assert house.sockets.open == len(lines) == 0
        assert house.hub._rooms == {}
