"""Signed links: a URL of ours that names one artifact of one run, for so long, and nothing else.

`<payload>.<signature>`, both base64url: the payload is a JSON list, the signature HMAC-SHA256 under one of our secrets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import HeadraceError, NotFound
from app.domain.ids import OwnerId, SourceId


class LinkExpired(HeadraceError):
    """The link was ours, and its time is over. `fields` name the source, so that the answer can say where to get a new one."""

    status = 410
    code = "link_expired"


@dataclass(frozen=True, slots=True)
class Target:
    owner: OwnerId
    source: SourceId
    run: int
    artifact: str


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(secret: str, payload: str) -> str:
    return _encode(hmac.digest(secret.encode(), b"link:" + payload.encode(), hashlib.sha256))


def sign(secret: str, target: Target, expires: datetime) -> str:
    payload = _encode(json.dumps([target.owner, target.source, target.run, target.artifact, int(expires.timestamp())], separators=(",", ":")).encode())
    return f"{payload}.{_signature(secret, payload)}"


def verify(secrets: Sequence[str], token: str, now: datetime) -> Target:
    """What the link names. Raises NotFound for one that we did not sign, LinkExpired (410) for an old one."""
    payload, _, signature = token.partition(".")
    if not any(hmac.compare_digest(_signature(secret, payload).encode(), signature.encode()) for secret in secrets):
        raise NotFound(detail="no such link")
    owner, source, run, artifact, expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if expires < now.timestamp():
        raise LinkExpired(detail="this link has expired; ask for the source to get a new one", source=source)
    return Target(owner, source, run, artifact)
