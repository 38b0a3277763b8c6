"""A processor that is an HTTP endpoint: a form with the request as JSON and the file goes there, JSON with the files inside comes back.

docs/plugins.md has the protocol. The only reading whose process may open connections.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from headrace_plugin import MARKDOWN, PAGES, TEXT, THUMBNAIL, Extracted, Failed, Reading
from worker.processors.command import request, understand

_CHUNK_BYTES: Final = 1 << 20
_AWAY: Final = {429, 502, 503, 504}


class Away(Exception):
    """The endpoint does not answer, or not now: nothing is wrong with the source."""


@dataclass(frozen=True, slots=True)
class EndpointProcessor:
    name: str
    version: str
    media_types: tuple[str, ...]
    priority: int
    url: str
    needs_network: bool = True

    def process(self, reading: Reading) -> Extracted:
        """Raises Away, and what a processor raises."""
        answer = self._post(reading)
        for warning in answer.get("warnings", []) if isinstance(answer, dict) else []:
            understand({"warning": warning}, reading)
        found = understand(answer, reading)
        if found is None:
            raise Failed("crash", "an answer without `extracted`")
        _keep(answer.get("files", {}), reading.folder)
        return found

    def _post(self, reading: Reading) -> Any:
        boundary = secrets.token_hex(16)
        form = _Form(boundary, json.dumps(request(reading)).encode(), reading.path)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(form.size), "Accept": "application/json"}
        to = urlsplit(self.url)
        connection = _connection(to.scheme, to.netloc, reading.limits.wall_seconds)
        try:
            connection.request("POST", f"{to.path or '/'}{'?' * bool(to.query)}{to.query}", body=iter(form), headers=headers)
            response = connection.getresponse()
            body = response.read(reading.limits.file_bytes)
        except TimeoutError as error:
            raise Failed("timeout", f"{self.url} did not answer") from error
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"{self.url}: {type(error).__name__}") from error
        finally:
            connection.close()
        if response.status in _AWAY:
            raise Away(f"{self.url} answered {response.status}")
        if response.status != http.client.OK:
            raise Failed("crash", f"{self.url} answered {response.status}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Failed("crash", f"{self.url} answered what is no JSON") from error


class _Form:
    """The body, in pieces of the file."""

    def __init__(self, boundary: str, asked: bytes, path: Path) -> None:
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        self._head = f'{part}"request"\r\nContent-Type: application/json\r\n\r\n'.encode() + asked
        self._head += f'\r\n{part}"file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._path = path
        self.size = len(self._head) + path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        yield self._tail


def _connection(scheme: str, host: str, seconds: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=seconds, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, timeout=seconds)


def _keep(files: Any, folder: Path) -> None:
    """Text as it is, the thumbnail in base 64. Names that nobody knows are passed over."""
    try:
        for name in (TEXT, PAGES, MARKDOWN):
            if name in files:
                (folder / name).write_text(files[name], encoding="utf-8", errors="replace", newline="")
        if THUMBNAIL in files:
            (folder / THUMBNAIL).write_bytes(base64.b64decode(files[THUMBNAIL], validate=True))
    except (TypeError, binascii.Error) as error:
        raise Failed("crash", "files that make no sense") from error
