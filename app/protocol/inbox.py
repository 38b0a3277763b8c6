"""The inbox: what was accepted and is not yet announced. Present = it must still be said; absent = silent, also after a wipe."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import INBOX, inbox_key, object_key, split_member
from app.domain.source import InboxRecord
from app.ports import ObjectStore


def create(store: ObjectStore, owner: OwnerId, record: InboxRecord) -> bool:
    """Accept. From here on the source is ours to finish. False when the id is claimed already.

    A refusal is no proof: client libraries retry by themselves and hand the winner its own refusal, so what is there decides.
    """
    return store.create(inbox_key(owner, record.source_uuid), record.to_json()) or holds(store, owner, record)


def unpack(store: ObjectStore, owner: OwnerId, record: InboxRecord) -> None:
    """Give the bytes that travelled in a record their object. Before any commit: the record goes after it, and retries and links find the object.

    Idempotent, since the key is the record's own.
    """
    if record.body is not None:
        store.put(object_key(owner, record.upload), record.body)


def read(store: ObjectStore, owner: OwnerId, source: SourceId) -> InboxRecord | None:
    """Raises Newer, ValueError (somebody's hand was in it)."""
    try:
        return InboxRecord.of_json(store.get(inbox_key(owner, source)))
    except ObjectNotFound:
        return None


def is_open(store: ObjectStore, owner: OwnerId, source: SourceId) -> bool:
    return store.stat(inbox_key(owner, source)) is not None


def remove(store: ObjectStore, owner: OwnerId, record: InboxRecord) -> None:
    """The last step of a run. Another run's record, which may have come since, is left alone."""
    if holds(store, owner, record):
        store.delete([inbox_key(owner, record.source_uuid)])


def holds(store: ObjectStore, owner: OwnerId, record: InboxRecord) -> bool:
    """Whether this very acceptance is there: not another run's, or another request's."""
    current = read(store, owner, record.source_uuid)
    return current is not None and current.run == record.run and current.upload == record.upload


def sources_of(store: ObjectStore, owner: OwnerId) -> Iterator[SourceId]:
    """What of one owner is in the inbox, by pages."""
    after: str = owner
    while names := store.names(INBOX, after=after):
        for name in names:
            whose, source = split_member(name)
            if whose != owner:
                return
            yield source
        after = names[-1]


def sources(store: ObjectStore) -> Iterator[tuple[OwnerId, SourceId]]:
    """Everything in the inbox, by pages."""
    after = ""
    while names := page(store, after=after, limit=1000):
        yield from map(split_member, names)
        after = names[-1]


def page(store: ObjectStore, *, after: str, limit: int) -> list[str]:
    """Names in the inbox (domain/layout.split_member reads them), after one of them. Costs what is open, not what is stored."""
    return store.names(INBOX, after=after, limit=limit)
