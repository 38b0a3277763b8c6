"""How soon a reader knows: from the publish of a milestone to its arrival on a socket, and from POST to the `success` of a small text file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median, quantiles

from websockets.asyncio.client import connect

from bench import sender
from bench.claim import Claim
from bench.form import form
from bench.session import Session
from tests.stack import ROOT, Stack

_EVENT_MS = 5.0
_SUCCESS_MS = 250.0
_USER = "bench"


def run(session: Session) -> Iterator[Claim]:
    stack = session.place("folder").stack
    count, runs = (100, 5) if session.quick else (1000, 50)
    asyncio.run(delays(stack, 50))  # warm
    found = asyncio.run(delays(stack, count))
    yield Claim("event: publish to socket, median", median(found), "ms", bound=_EVENT_MS, note=f"p99 {quantiles(found, n=100)[98]:.2f} ms")
    asyncio.run(ends(stack, 3))
    found = asyncio.run(ends(stack, runs))
    yield Claim("small text: POST to success, median", median(found), "ms", bound=_SUCCESS_MS, note=f"most {max(found):.0f} ms")


async def delays(stack: Stack, count: int) -> list[float]:
    """Milliseconds from publish to arrival, of so many milestones, 100 a second."""
    with stack.client(_USER) as client:
        channel = client.register()
    found = []
    async with connect(_socket_url(stack, channel), proxy=None, compression=None) as socket:
        environ = os.environ | {"HEADRACE_REDIS_URL": _redis_url(stack.folder)}
        command = (sys.executable, "-m", "bench.publisher", _USER, channel, str(count), "0.01")
        publishing = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ)
        async for text in socket:
            arrived = time.time_ns()
            event = json.loads(text)
            if event.get("message", "").isdecimal():
                found.append((arrived - int(event["message"])) / 1e6)
        assert await publishing.wait() == 0
    assert len(found) == count, (len(found), count)
    return found


async def ends(stack: Stack, runs: int) -> list[float]:
    """Milliseconds from the first byte of the POST to the `success` event, one upload after the other."""
    return [found async for found in _ends(stack, runs)]


async def _ends(stack: Stack, runs: int) -> AsyncIterator[float]:
    for _ in range(runs):
        with stack.client(_USER) as client:
            channel = client.register()
        content_type, before, after = form(channel, uuid.uuid4().hex)
        headers = {"X-API-Key": stack.api_key, "X-User-ID": _USER, "Content-Type": content_type}
        body = sender.Body(f"{stack.base_url}/public/sources/upload-source", headers, before + b"a few words\n" * 20, 0, after)
        async with connect(_socket_url(stack, channel), proxy=None, compression=None) as socket:
            started = time.perf_counter()
            posting = asyncio.create_task(asyncio.to_thread(sender.post, body))
            async for text in socket:
                if json.loads(text).get("status") == "success":
                    yield 1000 * (time.perf_counter() - started)
                    break
            await posting


def _socket_url(stack: Stack, channel: str) -> str:
    return f"ws{stack.base_url.removeprefix('http')}/ws/{channel}"


def _redis_url(data: Path) -> str:
    """The embedded stack's own server."""
    password = (data / "secrets" / "redis_password").read_text().strip()
    return f"redis://:{password}@127.0.0.1:{(data / 'redis' / 'port').read_text().strip()}/0"
