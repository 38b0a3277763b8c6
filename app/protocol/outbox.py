"""The outbox: ends that somebody outside has yet to hear of. Written before the inbox record goes, so no crash and no wipe loses one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import WEBHOOKS, WEBHOOKS_DEAD
from app.domain.profile import Webhook
from app.domain.results import RunResult
from app.domain.webhook import CALLBACK, OutboxRecord
from app.ports import ObjectStore

_BEFORE_CLIENT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Targets:
    """Who hears of an end: its profile's webhook, and the URL that its upload named."""

    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    """Of each profile that has one."""

    def of(self, owner: OwnerId, result: RunResult, *, waits: bool = True) -> list[OutboxRecord]:
        about = {"owner": owner, "source_uuid": result.source_uuid, "run": result.run, "organisation": result.organisation or ""}
        found = []
        if webhook := self.webhooks.get(result.profile):
            record = OutboxRecord(**about, target=result.profile, url=webhook.url)
            found.append(record.model_copy(update={"next_at": record.next_at + _BEFORE_CLIENT}) if waits and webhook.before_client else record)
        if result.callback_url:
            found.append(OutboxRecord(**about, target=CALLBACK, url=result.callback_url))
        return found


def post(store: ObjectStore, owner: OwnerId, result: RunResult, targets: Targets, *, waits: bool = True) -> list[OutboxRecord]:
    """Keep what has to be told; create-only, so that whoever repeats it changes nothing. Costs nothing where nobody is to hear.

    `waits`: the end is not said before Deliver had its time, so the courier leaves alone those that are told there.
    """
    records = targets.of(owner, result, waits=waits)
    for record in records:
        store.create(WEBHOOKS + record.name, record.to_json())
    return records


def read(store: ObjectStore, name: str, *, dead: bool = False) -> OutboxRecord | None:
    try:
        return OutboxRecord.model_validate_json(store.get((WEBHOOKS_DEAD if dead else WEBHOOKS) + name))
    except ObjectNotFound:
        return None


def names(store: ObjectStore, *, of: OwnerId | None = None, dead: bool = False) -> Iterator[str]:
    """Everything that waits (or was given up), by pages; of one owner, or of all."""
    after = of or ""
    while page := store.names(WEBHOOKS_DEAD if dead else WEBHOOKS, after=after):
        for name in page:
            if of is not None and not name.startswith(f"{of}~"):
                return
            yield name
        after = page[-1]


def of_source(store: ObjectStore, owner: OwnerId, source: SourceId, *, dead: bool) -> list[str]:
    """The names of what waits (or was given up) for one source: a few."""
    prefix = f"{owner}~{source}~"
    return [name for name in store.names(WEBHOOKS_DEAD if dead else WEBHOOKS, after=prefix, limit=100) if name.startswith(prefix)]


def told(store: ObjectStore, record: OutboxRecord) -> None:
    store.delete([WEBHOOKS + record.name])


def postpone(store: ObjectStore, record: OutboxRecord, what: str, now: datetime) -> OutboxRecord:
    """An attempt came to nothing: later again, or given up when it has waited for a day."""
    failed = record.failed(what, now)
    if failed.is_given_up(now):
        store.put(WEBHOOKS_DEAD + record.name, failed.to_json(), media_type="application/json")
        store.delete([WEBHOOKS + record.name])
    else:
        store.put(WEBHOOKS + record.name, failed.to_json(), media_type="application/json")
    return failed


def redeliver(store: ObjectStore, record: OutboxRecord, now: datetime) -> OutboxRecord:
    """Whatever became of it, it waits to be told anew."""
    again = record.again(now)
    store.put(WEBHOOKS + record.name, again.to_json(), media_type="application/json")
    store.delete([WEBHOOKS_DEAD + record.name])
    return again


def forget(store: ObjectStore, owner: OwnerId, source: SourceId) -> None:
    """The source was deleted: nobody is told any more."""
    store.delete([WEBHOOKS + name for name in of_source(store, owner, source, dead=False)])
    store.delete([WEBHOOKS_DEAD + name for name in of_source(store, owner, source, dead=True)])
