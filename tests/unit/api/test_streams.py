"""Which requests are sockets of channels; what becomes of them then: tests/integration/test_handshake.py, and the tests of subscribe."""

from types import SimpleNamespace

import pytest
from starlette.datastructures import State

from app.api.streams import Streams

pytestmark = pytest.mark.anyio


async def answered_by(kind, path):
    """`channel` or `others`."""
    who = []

    async def others(scope, receive, send):
        who.append("others")

    async def send(event):
        who.append("channel")
        assert event.get("status", 503) == 503

    stopping = SimpleNamespace(lines=SimpleNamespace(is_draining=True))
    scope = {"type": kind, "path": path, "query_string": b"", "headers": [], "extensions": {"websocket.http.response": {}}}
    await Streams(others, State({"services": stopping}))(scope, None, send)
    return who[0]


@pytest.mark.parametrize("path", ["/ws/a", "/user/ws/a", "/public/ws/a", "/public/user/ws/a"])
async def test_a_socket_on_a_channels_path_is_the_channels(path):
    assert await answered_by("websocket", path) == "channel"


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/", "/ws/a/", "/ws/a/b", "/user/public/ws/a", "/x/ws/a"])
async def test_a_socket_elsewhere_is_not(path):
    assert await answered_by("websocket", path) == "others"


async def test_a_request_is_not():
    assert await answered_by("http", "/ws/a") == "others"
