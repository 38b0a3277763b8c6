"""The same over a real connection, parked and handed off: what comes back is what is owed, and then nothing is left."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import uvloop
from hypothesis import given, settings

from tests.websocket.conversation import REQUEST
from tests.websocket.echo_lines import echo_lines, skip_where_impossible
from tests.websocket.frames import Event, Reader, code_of
from tests.websocket.model import owed
from tests.websocket.still_wire import MAX_BYTES
from tests.websocket.streams import chunked

_SECONDS = 20


class Server:
    """In a loop and a thread of its own: hypothesis calls, and does not await."""

    def __init__(self, tier: str, run) -> None:
        self.strays: list[object] = []
        self._tier = tier
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: run(self._serve()))
        self._thread.start()
        assert self._up.wait(_SECONDS)

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.loop.set_exception_handler(lambda _, context: self.strays.append(context))
        async with echo_lines(self._tier, ws_max_size=MAX_BYTES) as (self.address, self.echo):
            self._up.set()
            await self._stop.wait()

    def call(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_SECONDS)

    def open(self) -> socket.socket:
        """A client whose line is on the tier."""
        client = socket.create_connection(self.address, timeout=_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(REQUEST % base64.b64encode(bytes(16)))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        self.call(self.echo.ready(client.getsockname()))
        return client

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module", params=[("parked", uvloop.run), ("parked", asyncio.run), ("handed off", uvloop.run), ("handed off", asyncio.run)],
                ids=lambda param: f"{param[0]} on {'uvloop' if param[1] is uvloop.run else 'asyncio'}")  # fmt: skip
def server(request) -> Iterator[Server]:
    skip_where_impossible(request.param[0])
    serving = Server(*request.param)
    yield serving
    serving.close()
    assert not serving.strays


def answers(client: socket.socket, chunks: list[bytes]) -> tuple[list[Event], bool]:
    """All that comes back until the server ends the connection, and whether it was reset. A server that has ended it already takes no more."""
    reader, back, was_reset = Reader(), b"", False
    try:
        for chunk in chunks:
            client.sendall(chunk)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        was_reset = True
    try:
        while chunk := client.recv(1 << 16):
            back += chunk
    except ConnectionResetError:  # it had not read everything when it was done
        was_reset = True
    events = [event for event in reader.feed(back) if event.kind != "ping"]  # of the sweep
    reader.end()
    return events, was_reset


def test_a_socket_answers_what_is_owed(server, caplog):
    caplog.set_level(logging.ERROR)

    @given(chunked())
    @settings(max_examples=150, deadline=None)
    def run(chunks: list[bytes]) -> None:
        with server.open() as client:
            events, was_reset = answers(client, chunks)
        stream = b"".join(chunks)
        deserved = owed(stream, MAX_BYTES)
        end = events.pop() if events and events[-1].kind == "close" else None
        assert events == deserved.events
        if deserved.fails:
            assert code_of(end.payload) in deserved.fails if end else deserved.may_wait
        elif end != deserved.closed:
            # What a client sends behind its close meets a closed connection, and the reset may overtake the answer.
            assert (end, was_reset) == (None, True)
            assert owed(stream[:-1], MAX_BYTES).closed

    run()
    server.call(server.echo.emptied())
    assert set(server.echo.gone) == {1}
    assert not caplog.records
