"""The guard: HTTP to an address that a stranger named, which reaches nothing that the policy does not allow.

ssrfguard resolves once, checks every answer and connects to the address it checked; only this file and lookup.py know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Network, ip_network
from typing import Final

import httpcore
import httpx
import ssrfguard
from ssrfguard.httpx import Client, SafeBackend, SafeTransport

from app.adapters.http_limits import LimitedBackend, Limits
from app.adapters.lookup import Lookup
from app.domain.errors import InvalidRequest, ProcessingFailed

MAX_ADDRESSES: Final = 2
"""Of one name, tried in a row."""
LOOKUP_SECONDS: Final = 5.0

_STEPS: Final = 1 + MAX_ADDRESSES
# ssrfguard's table names what IANA lists; of IPv6, the only public addresses are those of 2000::/3 and what NAT64 (listed) carries.
_UNASSIGNED: Final = tuple(
    ssrfguard.Block(IPv6Network(net), "not global unicast", "RFC 4291", ssrfguard.Reach.DENIED) for net in ("::/3", "4000::/2", "8000::/1")
)
_DENIED: Final = ssrfguard.AddressTable(ssrfguard.DEFAULT_DENIED.blocks + _UNASSIGNED)


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


class Guard:
    """Raises ValueError when the policy makes no sense: a network or an address that is none, no ports."""

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

    def client(self, limits: Limits, headers: dict[str, str]) -> Client:
        """Follows no redirect by itself; whoever follows one is checked again. Close it."""
        lookup = self._lookup.within(partial(limits.left, LOOKUP_SECONDS, shares=_STEPS))
        transport = SafeTransport(policy=self._guard, verify=self._ssl, trust_env=False)
        # httpx's one private name here: httpcore takes a backend, httpx has no door to it. Tests prove that ours is the one that runs.
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 -- see above
            ssl_context=self._ssl,
            network_backend=LimitedBackend(SafeBackend(policy=self._guard, resolver=lookup), limits, steps=_STEPS),
        )
        timeout = httpx.Timeout(self._policy.read_seconds, connect=self._policy.connect_seconds)
        return Client(transport=transport, trust_env=False, follow_redirects=False, timeout=timeout, headers=headers)


@contextmanager
def failures(limits: Limits) -> Iterator[None]:
    """What can go wrong on the way, as the failures that Fetcher promises. Texts and tracebacks leave out the URL: it may hold a signature."""
    try:
        yield
    except (InvalidRequest, httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: a host that claims to be IDNA and is not
        raise ProcessingFailed("url_refused", str(error)) from None
    except (ssrfguard.BlockedURLError, ssrfguard.BlockedAddressError) as error:
        raise ProcessingFailed("url_refused", error.reason) from None
    except httpx.HTTPError as error:
        raise ProcessingFailed("timeout" if limits.are_over else "fetch_failed", f"{type(error).__name__}: {error}") from error
