"""Download: the body of an answer, taken up again where it broke off, when the server can (RFC 9110, sections 13.1.5 and 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import httpx

MOST_RESUMES: Final = 5
"""Of one body. Each has to bring something, or it is the last."""

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


class Download:
    """Iterate it once. A cut is mended by asking for the rest of the same version, else it raises what httpx raised: never a shorter or a mixed body."""

    def __init__(self, client: httpx.Client, response: httpx.Response) -> None:
        self._client = client
        self._response = response
        self._version = _version(response)
        self._received = 0

    def __iter__(self) -> Iterator[bytes]:
        resumes, came_at_last = 0, -1
        while True:
            try:
                # Raw, and in the pieces in which it came: what waits to fill a larger one would be lost with a cut. A body shorter than its
                # Content-Length, or without its last chunk, is an error of h11's.
                for chunk in self._response.iter_raw():
                    self._received += len(chunk)
                    yield chunk
            except httpx.TransportError:
                resumes += 1
                if self._version is None or resumes > MOST_RESUMES or self._received == came_at_last:
                    raise
                came_at_last = self._received
                if not self._resume():
                    raise
            else:
                return

    def close(self) -> None:
        self._response.close()

    def _resume(self) -> bool:
        """Whether the server goes on where it broke off. Raises httpx.HTTPError; the address is checked like the first time."""
        assert self._version is not None  # noqa: S101 - asked before
        self._response.close()
        headers = {"Range": f"bytes={self._received}-", "If-Range": self._version}
        self._response = self._client.send(self._client.build_request("GET", self._response.url, headers=headers), stream=True)
        if self._response.status_code != 206 or "content-encoding" in self._response.headers:
            return False  # 200: it is another version by now, from the start
        part = _RANGE.fullmatch(self._response.headers.get("content-range", ""))
        return part is not None and int(part[1]) == self._received and _version(self._response) == self._version


def _version(response: httpx.Response) -> str | None:
    """What names this version of the document byte for byte: a strong ETag. A date is too coarse (RFC 9110, section 8.8.2.2)."""
    tag = str(response.headers.get("etag", ""))
    return tag if re.fullmatch(r'"[\x21\x23-\x7e]{1,256}"', tag) else None
