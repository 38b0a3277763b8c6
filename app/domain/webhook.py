"""Webhooks: who outside is told of an end, and what is kept until it was. The envelope is that of Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from app.domain.ids import OwnerId, SourceId
from app.domain.wire import Stored

CALLBACK = "callback"
"""The target of an upload that named its own URL; all others are profiles'."""
GIVEN_UP_AFTER = timedelta(hours=24)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=1)


class OutboxRecord(Stored):
    """One target that has yet to hear of one end. Present = it must still be told; in `webhooks-dead/`: we gave up."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    owner: OwnerId
    source_uuid: SourceId
    run: int
    target: str
    """`callback`, or the name of a profile."""
    url: str
    organisation: str = ""
    """Whose secret signs what goes to a callback."""
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    attempts: int = 0
    next_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    last: str | None = None
    """What came of the last attempt."""

    @property
    def name(self) -> str:
        """Of the record in its folder. The same end and target have the same."""
        return f"{self.owner}~{self.source_uuid}~{self.run}~{self.target}"

    @property
    def message_id(self) -> str:
        """The idempotency key: whoever has seen it has had this end."""
        return "msg_" + hashlib.sha256(self.name.encode()).hexdigest()[:32]

    def failed(self, what: str, now: datetime) -> OutboxRecord:
        """After an attempt that came to nothing: the next one is later each time."""
        pause = min(_FIRST_PAUSE * 3 ** min(self.attempts, 9), _LONGEST_PAUSE)
        return self.model_copy(update={"attempts": self.attempts + 1, "next_at": now + pause, "last": what[:200]})

    def is_given_up(self, now: datetime) -> bool:
        return now - self.created_at >= GIVEN_UP_AFTER

    def again(self, now: datetime) -> OutboxRecord:
        """As if it had never been tried."""
        return self.model_copy(update={"attempts": 0, "created_at": now, "next_at": now})


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message. `secret`: `whsec_` and base64, of 24 to 64 bytes."""
    seconds = int(at.timestamp())
    digest = hmac.digest(secret_bytes(secret), f"{message_id}.{seconds}.".encode() + body, hashlib.sha256)
    return {"webhook-id": message_id, "webhook-timestamp": str(seconds), "webhook-signature": "v1," + base64.b64encode(digest).decode()}


def secret_bytes(secret: str) -> bytes:
    """Raises ValueError when it is none."""
    raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if not 24 <= len(raw) <= 64:
        raise ValueError("a webhook's secret has 24 to 64 bytes")
    return raw


def callback_secret(key: str, organisation: str) -> str:
    """What an organisation's callbacks are signed with: made from our own secret, so that nothing has to be kept."""
    return "whsec_" + base64.b64encode(hmac.digest(key.encode(), f"callbacks:{organisation}".encode(), hashlib.sha256)).decode()
