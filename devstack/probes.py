"""Asking a part of the stack, over loopback, whether it works. Each answers False until it does, and never raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devstack.process import Probe


def http_200(host: str, port: int, path: str) -> Probe:
    async def probe() -> bool:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        return await _first_line(host, port, request, lambda line: line.startswith(b"HTTP/1.1 200"))

    return probe


def accepts(host: str, port: int) -> Probe:
    async def probe() -> bool:
        return await _first_line(host, port, b"", lambda _: True)

    return probe


async def _first_line(host: str, port: int, request: bytes, good: Callable[[bytes], bool]) -> bool:
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return good(await reader.readline() if request else b"")
            finally:
                writer.close()
    except (OSError, ValueError, TimeoutError):
        return False
