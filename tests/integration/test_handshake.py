"""What is decided before a socket is accepted, by the application on uvicorn, asked by a WebSocket client; on each tier of sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from app.api.http_protocol import HttpProtocol
from app.api.websocket.lines import Lines
from app.domain.ids import ChannelId
from app.main import Server
from tests.unit.api.asgi import WHO, request
from tests.unit.api.conftest import application
from tests.unit.doubles import ADA, EVE, House

pytestmark = pytest.mark.anyio

UUID = "0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d"
NAME = "abc-123"
FRONT = "http://front.example"


class Api:
    """The application with services in memory, served on a free port."""

    def __init__(self, house: House, base: str, application) -> None:
        self.house, self.base, self.application = house, base, application

    async def register(self, channel: str) -> str:
        """The token or ticket of the address that is answered."""
        answer = await request(self.application, "POST", "/public/sources/ws", [json.dumps({"ws-uuid": channel}).encode()], headers=WHO)
        address, _, token = answer.json()["ws-address"].partition("?token=")
        assert address.endswith(f"/ws/{channel}")
        return token

    def socket(self, channel: str, token: str | None = None, *, headers=(), **more) -> connect:
        query = f"?token={token}" if token is not None else ""
        return connect(f"{self.base}/ws/{channel}{query}", additional_headers=headers, proxy=None, compression=None, **more)

    async def refused(self, channel: str, token: str | None = None, **more) -> tuple[int, str]:
        """Status and code; it was no WebSocket for a moment, and nothing of the credential is in the answer."""
        with pytest.raises(InvalidStatus) as refused:
            async with self.socket(channel, token, **more):
                pass
        response = refused.value.response
        assert response.headers["content-type"] == "application/problem+json"
        self.retry_after = response.headers.get("retry-after")
        assert not token or token.encode() not in response.body
        problem = json.loads(response.body)
        assert problem["status"] == response.status_code
        return response.status_code, problem["code"]


OURS = "app.api.websocket.protocol:SocketProtocol"


@pytest.fixture(params=[("parked", OURS), ("handed off", OURS), ("plain", "websockets-sansio")], ids=lambda tier: tier[0])
async def serve(anyio_backend, request) -> AsyncIterator:
    tier, protocol = request.param

    @asynccontextmanager
    async def serving(**settings) -> AsyncIterator[Api]:
        async with House() as house:
            lines = Lines(parks=tier == "parked")
            made = application(house, lines=lines, **settings)
            config = uvicorn.Config(made, http=HttpProtocol, ws=protocol, ws_per_message_deflate=False, lifespan="off", log_config=None)
            server = Server(config, lines, drain_seconds=0)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                running = asyncio.create_task(server.serve([listening]))
                try:
                    yield Api(house, f"ws://127.0.0.1:{listening.getsockname()[1]}", made)
                finally:
                    server.should_exit = True
                    await running

    async with AsyncExitStack() as stack:
        yield lambda **settings: stack.enter_async_context(serving(**settings))


async def is_open(ws: ClientConnection) -> bool:
    await asyncio.wait_for(await ws.ping(), 10)
    return True


async def test_a_name_that_is_no_random_uuid_opens_by_its_address_only(serve):
    api = await serve()
    token = await api.register(NAME)
    assert await api.refused(NAME) == (403, "token_required")
    assert await api.refused(NAME, "stale") == (403, "token_required")
    async with api.socket(NAME, token) as ws:
        assert await is_open(ws)


async def test_a_random_uuid_opens_bare_as_it_always_did_whatever_token_comes_with_it(serve):
    api = await serve()
    await api.register(UUID)
    for token in (None, "", "stale", "%00"):
        async with api.socket(UUID, token) as ws:
            assert await is_open(ws)


async def test_an_unknown_channel_is_not_found(serve):
    api = await serve()
    assert await api.refused(UUID) == (404, "not_found")
    assert await api.refused(UUID, headers=WHO) == (404, "not_found")


async def test_a_bare_name_whose_channel_nobody_knows_any_more_is_not_found(serve):
    api = await serve()
    token = await api.register(UUID)
    with api.house.ledger.memory.lock:
        api.house.ledger.memory.channels.clear()
    assert await api.refused(UUID) == (404, "not_found")
    async with api.socket(UUID, token) as ws:  # who holds a token knows that it was opened
        assert await is_open(ws)
    async with api.socket(UUID) as ws:
        assert await is_open(ws)


async def test_key_and_user_open_what_is_theirs_and_a_wrong_key_nothing(serve):
    api = await serve()
    token = await api.register(NAME)
    async with api.socket(NAME, headers=WHO) as ws:
        assert await is_open(ws)
    assert await api.refused(NAME, headers=WHO | {"x-user-id": "eve"}) == (404, "not_found")
    assert await api.refused(NAME, token, headers=WHO | {"x-api-key": "wrong"}) == (401, "unauthorized")
    assert await api.refused(NAME, token, headers=[*WHO.items(), ("x-user-id", "eve")]) == (401, "unauthorized")


async def test_the_subprotocol_may_carry_the_token_and_is_not_echoed(serve):
    api = await serve()
    token = await api.register(NAME)
    async with api.socket(NAME, subprotocols=["headrace", f"headrace.token.{token}"]) as ws:
        assert (ws.subprotocol, await is_open(ws)) == ("headrace", True)
    async with api.socket(NAME, subprotocols=[f"headrace.token.{token}"]) as ws:
        assert (ws.subprotocol, await is_open(ws)) == (None, True)
    assert await api.refused(NAME, subprotocols=["headrace", "headrace.token.stale"]) == (403, "token_required")
    assert await api.refused(NAME, subprotocols=["headrace"]) == (403, "token_required")


async def test_a_required_ticket_opens_once(serve):
    api = await serve(ws_tickets="required")
    ticket = await api.register(UUID)
    async with api.socket(UUID, subprotocols=["headrace", f"headrace.token.{ticket}"]) as ws:
        assert await is_open(ws)
    for token in (ticket, None, "nonsense"):
        assert await api.refused(UUID, token) == (403, "ticket_required")
    async with api.socket(UUID, headers=WHO) as ws:
        assert await is_open(ws)


async def test_sixteen_who_race_for_a_ticket_are_one_winner(serve):
    api = await serve(ws_tickets="required")
    ticket = await api.register(UUID)

    async def race() -> bool:
        try:
            async with api.socket(UUID, ticket) as ws:
                return await is_open(ws)
        except InvalidStatus:
            return False

    assert sum(await asyncio.gather(*(race() for _ in range(16)))) == 1


async def test_tickets_off_every_bare_name_opens_and_tokens_still_count(serve):
    api = await serve(ws_tickets="off")
    token = await api.register(NAME)
    for given in (None, token):
        async with api.socket(NAME, given) as ws:
            assert await is_open(ws)


@pytest.mark.parametrize(("origin", "opens"), [
    (None, True), (FRONT, True), ("our own", True), ("http://evil.example", False), ("http://front.example.evil.example", False),
    ("null", False), ("http://localhost:3000", False),
])  # fmt: skip
async def test_pages_of_other_origins_are_refused_whatever_they_know(serve, origin, opens):
    api = await serve()
    token = await api.register(UUID)
    origin = api.base.replace("ws", "http") if origin == "our own" else origin
    if opens:
        async with api.socket(UUID, origin=origin) as ws:
            assert await is_open(ws)
    else:
        for given in (None, token):
            assert await api.refused(UUID, given, origin=origin) == (403, "origin_refused")


async def test_what_is_refused_takes_no_seat_and_who_leaves_gives_it_back(serve):
    api = await serve()
    await api.register(UUID)
    for _ in range(5):
        assert (await api.refused(UUID, origin="http://evil.example"))[0] == 403
        assert (await api.refused(NAME))[0] == 403
    async with api.socket(UUID), api.socket(UUID):
        assert api.house.sockets.open == 2
        assert await api.refused(UUID) == (429, "too_many_sockets")
        assert api.retry_after == "10"
    async with asyncio.timeout(20):
        while api.house.sockets.open:
            await asyncio.sleep(0.01)
    async with api.socket(UUID) as ws:
        assert await is_open(ws)


async def test_an_owner_and_the_process_have_their_limits_too(serve):
    api = await serve(ws_tickets="off")
    for channel in ("a", "b", "c", "d"):
        await api.register(channel)
    async with AsyncExitStack() as open_ones:
        for channel in ("a", "a", "b"):
            await open_ones.enter_async_context(api.socket(channel))
        assert await api.refused("c") == (429, "too_many_sockets")
        for name in ("e", "f"):
            await api.house.access.register(EVE, ChannelId(name), explicit=True)
        await open_ones.enter_async_context(api.socket("e"))
        assert await api.refused("f") == (429, "too_many_sockets")
        assert await api.house.ledger.resolve(ChannelId("a")) == ADA


async def test_a_name_outside_the_alphabet_is_a_bad_request(serve):
    api = await serve()
    assert await api.refused("a%20b") == (400, "invalid_id")


async def test_redis_away_is_said_before_the_socket_is_accepted(serve):
    api = await serve()
    token = await api.register(UUID)
    api.house.ledger.away = True
    for given in (None, token):
        assert await api.refused(UUID, given) == (503, "redis_unavailable")
        assert api.retry_after == "5"


@pytest.mark.parametrize(("names", "said"), [(["uploads.example.com"], (421, "misdirected")), (["127.0.0.1"], (404, "not_found"))])
async def test_a_socket_under_a_name_that_is_none_of_ours_is_refused(serve, names, said):
    api = await serve(answer_hosts=names)
    assert await api.refused(UUID) == said
