"""Webhooks as their owner sees them: what is still to be told, what was given up, and what a callback is signed with."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from app.api.deps import Admin, Reader, TheServices, Uploader
from app.api.openapi import PROBLEMS
from app.domain.errors import NotFound
from app.domain.ids import OwnerId, SourceId, source_id
from app.domain.webhook import OutboxRecord, callback_secret
from app.domain.wire import Wire
from app.ports import ObjectStore
from app.protocol import outbox

PREFIXES = ("/public", "/public/user", "/api/v1")
_MOST = 1000

router = APIRouter(tags=["webhooks"], responses=PROBLEMS)


class Waiting(Wire):
    source_uuid: SourceId
    run: int
    target: str = Field(description="`callback`, or the profile whose webhook it is")
    attempts: int
    last: str | None = Field(default=None, description="what came of the last attempt")
    next_at: AwareDatetime | None = Field(default=None, description="when it is tried next; absent when it was given up")
    given_up: bool


class WebhookList(Wire):
    webhooks: list[Waiting]


class Secret(Wire):
    secret: str = Field(description="`whsec_…`, as the libraries of Standard Webhooks take it")


@router.get("/webhooks", response_model_exclude_none=True)
async def list_webhooks(reader: Reader, services: TheServices) -> WebhookList:
    """Ends of this user's sources that somebody outside has yet to hear of, and those that were given up after a day. At most 1,000 of each."""
    return WebhookList(webhooks=await services.offload(_waiting, services.store, reader.owner))


@router.post("/webhooks/{source}/redeliver", response_model_exclude_none=True)
async def redeliver(source: str, uploader: Uploader, services: TheServices) -> WebhookList:
    """Tell all targets of a source anew, those that were given up and those that wait. 404 when there is none of them."""
    name = source_id(source, "id")
    found = await services.offload(_redeliver, services.store, uploader.owner, name)
    if not found:
        raise NotFound(detail="nothing of this source waits to be told")
    return WebhookList(webhooks=found)


@router.get("/webhooks/secret")
async def webhook_secret(admin: Admin, services: TheServices) -> Secret:
    """What messages to the `callback-url` of this organisation's uploads are signed with. It changes with HEADRACE_SECRET_KEYS."""
    return Secret(secret=callback_secret(services.secrets[0], admin.organisation))


def _waiting(store: ObjectStore, owner: OwnerId) -> list[Waiting]:
    found = []
    for dead in (False, True):
        for name in islice(outbox.names(store, of=owner, dead=dead), _MOST):
            record = outbox.read(store, name, dead=dead)
            if record is not None:
                found.append(_shown(record, dead=dead))
    return found


def _redeliver(store: ObjectStore, owner: OwnerId, source: SourceId) -> list[Waiting]:
    records = [outbox.read(store, name, dead=dead) for dead in (True, False) for name in outbox.of_source(store, owner, source, dead=dead)]
    return [_shown(outbox.redeliver(store, record, datetime.now(UTC)), dead=False) for record in records if record is not None]


def _shown(record: OutboxRecord, *, dead: bool) -> Waiting:
    return Waiting(
        source_uuid=record.source_uuid, run=record.run, target=record.target, attempts=record.attempts, last=record.last,
        next_at=None if dead else record.next_at, given_up=dead,
    )  # fmt: skip
