"""A source: the states of its run, and the record that is its acceptance."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field

from app.domain.ids import ChannelId, SourceId, UploadId
from app.domain.wire import Stored

METADATA_LIMIT_BYTES = 4096


class State(StrEnum):
    """Where a run is. A new run begins at accepted."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return not EDGES[self]


EDGES: dict[State, frozenset[State]] = {
    # processing -> accepted is a release (outage, shutdown) or a lease that expired: the run waits again.
    # accepted -> a terminal state happens too: deleted before a worker came, or committed by a worker that Redis forgot.
    State.ACCEPTED: frozenset({State.PROCESSING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.PROCESSING: frozenset({State.ACCEPTED, State.PROCESSING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def next_state(current: State, to: State) -> State:
    """`to`, when that edge exists; else ValueError. No other function changes a state (the Lua scripts mirror this table)."""
    if to not in EDGES[current]:
        raise ValueError(f"no edge from {current} to {to}")
    return to


Kind = Literal["file-upload", "url-upload"]


class InboxRecord(Stored):
    """The acceptance of one run of a source, as it lies in inbox/: whoever finds it can do the whole rest.

    Written create-only, with the bytes in it or after they are durable, and deleted after the end was announced, so: present = it must still be said.
    """

    schema_: Literal[1, 2] = Field(default=1, alias="schema")
    """2 when it has a body, so that whoever would look for an object leaves it alone."""
    source_uuid: SourceId
    run: int = Field(default=1, ge=1)
    ws_uuid: ChannelId
    upload: UploadId
    digest: str
    """Of the bytes (xxh3-128, hex), or of the URL: tells a repeated upload from other bytes under the same id."""
    size: int | None = Field(default=None, ge=0)
    """Bytes; None for a URL that nobody fetched yet."""
    filename: str
    declared_type: str | None = None
    url: str | None = None
    stored: bool | None = None
    """Of a URL: it was fetched by an earlier run, whose bytes are read again (under `upload`). Else each run fetches it."""
    max_bytes: int | None = None
    """Of a URL: what may come of it, where that is less than the deployment's limit."""
    types: list[str] | None = None
    """Media types that are taken, `image/*` for a family; None: all that the deployment takes."""
    callback_url: str | None = None
    """Who is told of the end, beside the channel and the profile's webhook."""
    organisation: str | None = None
    """Whose secret signs what goes there."""
    tags: list[dict[str, Any]] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    profile: str = "default"
    options: dict[str, Any] = Field(default_factory=dict)
    base_url: str
    """What the outside calls us, as the accepting request saw it: links in events start with it."""
    traceparent: str | None = None
    accepted_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    body: bytes | None = Field(default=None, repr=False)
    """The bytes themselves, of a small source whose object is yet to be written (protocol/inbox.py: `unpack`); base64 in JSON."""

    @property
    def kind(self) -> Kind:
        return "url-upload" if self.url else "file-upload"

    def rerun(self, run: int) -> Self:
        return self.model_copy(update={"run": run})

    def packed(self, body: bytes | None) -> Self:
        """With the bytes in it; without, when they are None."""
        return self.model_copy(update={"body": body, "schema_": 1 if body is None else 2})
