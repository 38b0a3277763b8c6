"""Text that only we can have written: `<payload>.<signature>`, both base64url, so it fits into a path, a query or a header.

The payload is a JSON list that anybody can read; the signature is HMAC-SHA256 under one of our secrets, over purpose and payload.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import from_json


def seal(secret: str, purpose: str, content: list[str | int]) -> str:
    """What was sealed for one purpose is nothing for another."""
    payload = _encode(json.dumps(content, separators=(",", ":")).encode())
    return f"{payload}.{_signature(secret, purpose, payload)}"


def unseal(secrets: Sequence[str], purpose: str, text: str) -> list[Any] | None:
    """The content, when any of the secrets sealed it for this purpose; None for anything else."""
    payload, _, signature = text.partition(".")
    given = signature.encode("utf-8", "replace")
    if not any(hmac.compare_digest(_signature(secret, purpose, payload).encode(), given) for secret in secrets):
        return None
    content: list[Any] = from_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return content


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(secret: str, purpose: str, payload: str) -> str:
    signing = _keyed(secret).copy()
    signing.update(f"{purpose}:{payload}".encode("utf-8", "replace"))
    return _encode(signing.digest())


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """A copy of it costs half of what beginning anew with the secret does."""
    return hmac.new(secret.encode(), digestmod="sha256")
