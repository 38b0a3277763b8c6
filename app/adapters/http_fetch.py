"""URL import: a GET of what a stranger named, which reaches no address that the policy does not allow.

Every connection goes through the guard (http_guard.py), on every hop.
Redirects are followed here and not by httpx, which would read a redirect's body into memory, and unpack it, whatever its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote

import httpx

from app.adapters.http_download import Download
from app.adapters.http_guard import FetchPolicy, Guard, failures
from app.adapters.http_limits import Limits
from app.domain.errors import ProcessingFailed
from app.domain.urls import check_url, filename
from app.ports import Fetched

MAX_REDIRECTS: Final = 3
_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "headrace"}
_MEDIA_TYPE: Final = re.compile(r"[!#$&^_.+a-z0-9-]{1,127}/[!#$&^_.+a-z0-9-]{1,127}")
_PARAMETER: Final = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')


class GuardedFetcher:
    """`app.ports.Fetcher`. Raises ValueError when the policy makes no sense: a network or an address that is none, no ports."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._guard = Guard(policy)

    @contextmanager
    def fetch(self, url: str, *, max_bytes: int, check: Callable[[], None] = lambda: None) -> Iterator[Fetched]:
        # The body is held to max_bytes exactly; what carries it (headers, chunk marks) may be as long again.
        limits = Limits(seconds=self._policy.timeout_seconds, wire_bytes=2 * max_bytes + 1024 * 1024, check=check)
        with self._guard.client(limits, _HEADERS) as client:
            with failures(limits):
                check_url(url)
                response = self._open(client, url)
            download = Download(client, response)
            try:
                size = _promised(response, max_bytes)
                yield Fetched(
                    url=str(response.url),
                    media_type=_media_type(response.headers.get("content-type", "")),
                    filename=_disposition(response.headers.get("content-disposition", "")) or filename(str(response.url)),
                    size=size,
                    chunks=_body(download, limits, max_bytes),
                )
            finally:
                download.close()

    def _open(self, client: httpx.Client, url: str) -> httpx.Response:
        request = client.build_request("GET", url)
        for _ in range(1 + MAX_REDIRECTS):
            response = client.send(request, stream=True)
            if response.next_request is None:
                return response
            response.close()
            request = response.next_request
        raise ProcessingFailed("fetch_failed", f"more than {MAX_REDIRECTS} redirects")


def _promised(response: httpx.Response, max_bytes: int) -> int | None:
    """The size that the headers promise. Raises ProcessingFailed when the answer is not the plain document that was asked for."""
    if response.status_code != 200:
        raise ProcessingFailed("fetch_failed", f"status {response.status_code}")
    if "content-encoding" in response.headers:  # we asked for none; unpacking is where bombs go off
        raise ProcessingFailed("fetch_failed", f"Content-Encoding {response.headers['content-encoding'][:40]!r}")
    length = response.headers.get("content-length", "")
    if "transfer-encoding" in response.headers or not re.fullmatch(r"[0-9]{1,19}", length):
        return None
    if int(length) > max_bytes:
        raise ProcessingFailed("too_large", f"Content-Length {length}")
    return int(length)


def _body(download: Download, limits: Limits, max_bytes: int) -> Iterator[bytes]:
    received = 0
    with failures(limits):
        for chunk in download:
            received += len(chunk)
            if received > max_bytes:
                raise ProcessingFailed("too_large", f"over {max_bytes} bytes came")
            yield chunk


def _media_type(value: str) -> str | None:
    essence = value.partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) else None


def _disposition(value: str) -> str | None:
    """The file name of a Content-Disposition (RFC 6266): `filename*` in UTF-8 or Latin-1 if it can be read, else `filename`."""
    names = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare.strip() for name, quoted, bare in _PARAMETER.findall(value[:4096])}
    charset, _, extended = names.get("filename*", "").partition("'")
    if charset.lower() in {"utf-8", "iso-8859-1"}:
        try:
            return unquote(extended.partition("'")[2], charset, "strict") or names.get("filename") or None
        except UnicodeDecodeError:
            pass
    return names.get("filename") or None
