"""URL import: a GET of what a stranger named, which reaches no address that the policy does not allow.

ssrfguard resolves once, checks every answer and connects to the address it checked; only this file and lookup.py know it.
Redirects are followed here and not by httpx, which would read a redirect's body into memory, and unpack it, whatever its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Network, ip_network
from typing import Final
from urllib.parse import unquote

import httpcore
import httpx
import ssrfguard
from ssrfguard.httpx import Client, SafeBackend, SafeTransport

from app.adapters.http_download import Download
from app.adapters.http_limits import LimitedBackend, Limits
from app.adapters.lookup import Lookup
from app.domain.errors import InvalidRequest, ProcessingFailed
from app.domain.urls import check_url, filename
from app.ports import Fetched

MAX_REDIRECTS: Final = 3
MAX_ADDRESSES: Final = 2
"""Of one name, tried in a row."""
LOOKUP_SECONDS: Final = 5.0

_STEPS: Final = 1 + MAX_ADDRESSES
# ssrfguard's table names what IANA lists; of IPv6, the only public addresses are those of 2000::/3 and what NAT64 (listed) carries.
_UNASSIGNED: Final = tuple(
    ssrfguard.Block(IPv6Network(net), "not global unicast", "RFC 4291", ssrfguard.Reach.DENIED) for net in ("::/3", "4000::/2", "8000::/1")
)
_DENIED: Final = ssrfguard.AddressTable(ssrfguard.DEFAULT_DENIED.blocks + _UNASSIGNED)
_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "headrace"}
_MEDIA_TYPE: Final = re.compile(r"[!#$&^_.+a-z0-9-]{1,127}/[!#$&^_.+a-z0-9-]{1,127}")
_PARAMETER: Final = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    allow_nets: Sequence[str] = ()
    """Networks (CIDR) that may be reached beside the public ones."""
    ports: Sequence[int] = (80, 443)
    nameserver: str | None = None
    """`address:port`; None: the system's resolver, with its hosts file."""
    timeout_seconds: float = 60
    """Deadline of headers and body, over all redirects; each MiB that has come moves it on by a second."""
    connect_seconds: float = 5
    read_seconds: float = 10
    """The longest silence."""


class GuardedFetcher:
    """`app.ports.Fetcher`. Raises ValueError when the policy makes no sense: a network or an address that is none, no ports."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._guard = ssrfguard.Policy(
            denied_networks=_DENIED,
            allowed_networks=tuple(ip_network(net) for net in policy.allow_nets),
            allowed_ports=frozenset(policy.ports),
            max_connection_attempts=MAX_ADDRESSES,
            on_partial_block="reject",
            sensitive_headers=frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"}),
        )
        self._lookup = Lookup(policy.nameserver)
        # Reads some hundred certificates: once, not for each fetch.
        self._ssl = httpx.create_ssl_context(trust_env=False)

    @contextmanager
    def fetch(self, url: str, *, max_bytes: int) -> Iterator[Fetched]:
        # The body is held to max_bytes exactly; what carries it (headers, chunk marks) may be as long again.
        limits = Limits(seconds=self._policy.timeout_seconds, wire_bytes=2 * max_bytes + 1024 * 1024)
        with self._client(limits) as client:
            with _failures(limits):
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

    def _client(self, limits: Limits) -> Client:
        lookup = self._lookup.within(partial(limits.left, LOOKUP_SECONDS, shares=_STEPS))
        transport = SafeTransport(policy=self._guard, verify=self._ssl, trust_env=False)
        # httpx's one private name here: httpcore takes a backend, httpx has no door to it. Tests prove that ours is the one that runs.
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 -- see above
            ssl_context=self._ssl,
            network_backend=LimitedBackend(SafeBackend(policy=self._guard, resolver=lookup), limits, steps=_STEPS),
        )
        timeout = httpx.Timeout(self._policy.read_seconds, connect=self._policy.connect_seconds)
        return Client(transport=transport, trust_env=False, follow_redirects=False, timeout=timeout, headers=_HEADERS)

    def _open(self, client: httpx.Client, url: str) -> httpx.Response:
        request = client.build_request("GET", url)
        for _ in range(1 + MAX_REDIRECTS):
            response = client.send(request, stream=True)
            if response.next_request is None:
                return response
            response.close()
            request = response.next_request
        raise ProcessingFailed("fetch_failed", f"more than {MAX_REDIRECTS} redirects")


@contextmanager
def _failures(limits: Limits) -> Iterator[None]:
    """What can go wrong on the way, as the failures that Fetcher promises. Texts and tracebacks leave out the URL: it may hold a signature."""
    try:
        yield
    except (InvalidRequest, httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: a host that claims to be IDNA and is not
        raise ProcessingFailed("url_refused", str(error)) from None
    except (ssrfguard.BlockedURLError, ssrfguard.BlockedAddressError) as error:
        raise ProcessingFailed("url_refused", error.reason) from None
    except httpx.HTTPError as error:
        raise ProcessingFailed("timeout" if limits.are_over else "fetch_failed", f"{type(error).__name__}: {error}") from error


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
    with _failures(limits):
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
