"""What the outside calls us: a configured URL, what a trusted proxy says, or the Host header when it names one of our names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import HTTPConnection

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")


def host_name(host: str) -> str | None:
    """The name of a Host header, without its port and in lower case; None when it is none."""
    match = _HOST.fullmatch(host)
    return match["name"].lower() if match else None


@dataclass(frozen=True, slots=True)
class Addresses:
    fallback: str
    """Our own address, e.g. `http://127.0.0.1:8811`: for a Host header that is not one of our names."""
    public_url: str | None = None
    allowed_hosts: Sequence[str] = ()
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = field(default=())

    def base_url(self, connection: HTTPConnection) -> str:
        """Scheme and authority under which this client reaches us, without a slash at the end."""
        if self.public_url:
            return self.public_url
        headers = connection.headers
        if self._from_proxy(connection):
            host = headers.get("x-forwarded-host", headers.get("host", "")).split(",")[0].strip()
            scheme = headers.get("x-forwarded-proto", "http").split(",")[0].strip().lower()
            if _HOST.fullmatch(host) and scheme in {"http", "https", "ws", "wss"}:
                return f"{scheme.replace('ws', 'http')}://{host}"
        host = headers.get("host", "")
        if host_name(host) in self.allowed_hosts:
            return f"http://{host}"
        return self.fallback

    def client(self, connection: HTTPConnection) -> str | None:
        """Whose address the request came from: the peer's, or what the nearest of our proxies says of a stranger; None when nobody can say."""
        if connection.client is None:
            return None
        address = connection.client.host
        # From right to left: each proxy adds the one before it, and what a stranger wrote stands at the left.
        for hop in reversed(",".join(connection.headers.getlist("x-forwarded-for")).split(",")):
            if not self._is_proxy(address) or not hop.strip():
                break
            address = hop.strip()
        return address

    def ws_url(self, connection: HTTPConnection) -> str:
        return "ws" + self.base_url(connection).removeprefix("http")

    def _from_proxy(self, connection: HTTPConnection) -> bool:
        return bool(self.trusted_proxies) and connection.client is not None and self._is_proxy(connection.client.host)

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:  # a Unix socket or a test client
            return False
        return any(parsed in network for network in self.trusted_proxies)
