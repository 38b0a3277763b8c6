"""Webhooks over HTTP: one POST, no redirects, and of the answer nothing but its status."""

from __future__ import annotations

import httpx

from app.adapters.http_guard import FetchPolicy, Guard, failures
from app.adapters.http_limits import Limits
from app.domain.errors import ProcessingFailed
from app.domain.urls import check_url

_SECONDS = 15.0
"""For all of it: standard-webhooks asks senders to wait 15 to 30 s."""
_HEADERS = {"Content-Type": "application/json", "User-Agent": "headrace", "Accept": "*/*", "Accept-Encoding": "identity"}
_ANSWER_BYTES = 64 * 1024


class HttpWebhookSender:
    """Implements ports.WebhookSender. `policy`: where a URL that an upload named may lead. The operator's own may lead anywhere."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._guard = Guard(policy)
        self._ssl = httpx.create_ssl_context(trust_env=False)

    def send(self, url: str, body: bytes, headers: dict[str, str], *, guarded: bool) -> None:
        limits = Limits(seconds=_SECONDS, wire_bytes=_ANSWER_BYTES)
        with self._guard.client(limits, _HEADERS) if guarded else self._plain() as client, failures(limits):
            check_url(url)
            with client.stream("POST", url, content=body, headers=headers) as response:
                status = response.status_code
        if not 200 <= status < 300:
            raise ProcessingFailed("fetch_failed", f"status {status}")

    def _plain(self) -> httpx.Client:
        return httpx.Client(verify=self._ssl, trust_env=False, follow_redirects=False, timeout=_SECONDS, headers=_HEADERS)
