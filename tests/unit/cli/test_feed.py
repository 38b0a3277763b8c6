import json

import pytest
from websockets.asyncio.server import serve

from app.cli import feed
from app.cli.connection import Connection

pytestmark = pytest.mark.anyio

EVENTS = [
    [{"event": "source.accepted", "event-id": "e:2"}],
    [{"event": "channel.recovered", "event-id": "e:0"}, {"event": "source.accepted", "event-id": "e:1"}],
]


async def test_it_comes_back_with_its_position_and_forgets_it_when_history_was_lost(monkeypatch):
    monkeypatch.setattr(feed, "_PAUSE_SECONDS", 0.01)
    asked: list[str] = []

    async def tell(socket):
        asked.append(socket.request.path)
        for event in EVENTS[len(asked) - 1]:
            await socket.send(json.dumps(event))
        await socket.close(1000 if len(asked) == len(EVENTS) else 1012)

    async with serve(tell, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        told = [event async for _, event in feed.follow(Connection(f"http://127.0.0.1:{port}", "k", "u"), "w")]
    assert told == [*EVENTS[0], *EVENTS[1]]
    assert asked == ["/ws/w", "/ws/w?after=e%3A2"]
