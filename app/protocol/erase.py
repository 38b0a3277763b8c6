"""Erase: a source goes away for good. The tombstone first, so that from then on every commit loses; the inbox record last.

Each step may be repeated, and whoever finds a tombstone beside an inbox record (the reconciler) repeats all of them.
"""

from __future__ import annotations

from app.domain.ids import OwnerId, SourceId
from app.domain.layout import dead_key, inbox_key, marker_key, object_key, source_prefix, tombstone_key
from app.domain.source import InboxRecord
from app.ports import ObjectStore
from app.protocol import inbox, outbox, outcome


def bury(store: ObjectStore, owner: OwnerId, source: SourceId) -> None:
    """From here on the source is deleted, whatever still works on it."""
    store.create(tombstone_key(owner, source), b"{}")


def remains(store: ObjectStore, owner: OwnerId, source: SourceId, record: InboxRecord | None) -> list[str]:
    """The keys of everything that the source has, but for its tombstone and its inbox record."""
    tombstone = tombstone_key(owner, source)
    keys: list[str] = []
    after = ""
    while page := store.keys(source_prefix(owner, source), after=after):
        keys += [key for key in page if key != tombstone]
        after = page[-1]
    for key in [key for key in keys if key.endswith("/result.json")]:
        run = int(key.split("/")[-2])
        found = outcome.result(store, owner, source, run)
        if found is not None:
            keys += [artifact.key for artifact in found.artifacts.values()]
            keys.append(marker_key(found.ws_uuid, owner, source))
    if record is not None:
        keys += [object_key(owner, record.upload), marker_key(record.ws_uuid, owner, source)]
    return sorted(set(keys))


def erase(store: ObjectStore, owner: OwnerId, source: SourceId) -> InboxRecord | None:
    """Bury the source and remove what it has, except the inbox record: that goes by `close`, after the end was said."""
    record = inbox.read(store, owner, source)
    bury(store, owner, source)
    outbox.forget(store, owner, source)
    # Results last: they name the objects, so a deletion that was cut short can be taken up from them.
    keys = remains(store, owner, source, record)
    results = [key for key in keys if key.endswith("/result.json")]
    store.delete([*(key for key in keys if key not in set(results)), dead_key(owner, source)])
    store.delete(results)
    return record


def close(store: ObjectStore, owner: OwnerId, source: SourceId) -> None:
    store.delete([inbox_key(owner, source)])
