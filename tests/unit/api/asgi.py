"""A request made by hand: chunks as the test sends them, a client that goes away or stops, and what was asked of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from tests.unit.doubles import KEY, USER

GONE = "gone"
"""In place of a chunk: the client disconnects."""
SILENT = "silent"
"""In place of a chunk: nothing more ever comes."""

WHO = {"x-api-key": KEY, "x-user-id": USER}


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    received: int = 0
    """Body messages that the application asked for."""
    received_bytes: int = 0
    received_before_answer: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)
    raised: Exception | None = None

    def json(self) -> Any:
        return json.loads(self.body)


async def request(
    app: ASGIApp,
    method: str,
    path: str,
    chunks: Sequence[bytes | str] = (),
    *,
    headers: Sequence[tuple[str, str]] | dict[str, str] = (),
    client: str = "127.0.0.1",
) -> Answer:
    """Runs one HTTP request. Chunks go as `http.request` messages, the last of them says that it is the last."""
    answer = Answer()
    left = list(chunks)
    path, _, query = path.partition("?")
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": (client, 40000), "server": ("127.0.0.1", 8811), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        answer.received += 1
        if not any(message["type"] == "http.response.body" for message in answer.sent):
            answer.received_before_answer += 1
        await asyncio.sleep(0)
        chunk = left.pop(0) if left else b""
        if chunk == GONE:
            return {"type": "http.disconnect"}
        if chunk == SILENT:
            await asyncio.Event().wait()
        assert isinstance(chunk, bytes)
        answer.received_bytes += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: Any) -> None:
        answer.sent.append(message)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    try:
        await app(scope, receive, send)
    except Exception as error:  # starlette answers 500 and lets the server hear of it too
        if not answer.status:
            raise
        answer.raised = error
    return answer


def multipart(*parts: tuple[str, str | bytes] | tuple[str, str | bytes, str]) -> tuple[bytes, str]:
    """A form and its content type; a part with a third member is a file of that name."""
    mark = "----headrace-test"
    out = b""
    for name, value, *filename in parts:
        more = f'; filename="{filename[0]}"\r\nContent-Type: text/plain' if filename else ""
        out += f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
        out += (value.encode() if isinstance(value, str) else value) + b"\r\n"
    return out + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"
