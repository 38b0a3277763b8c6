"""Commit: success, failure, cancelled and dead letter are all decided by one create-only PUT of result.json. The first one wins, for ever."""

from __future__ import annotations

from app.domain.errors import Unavailable
from app.domain.ids import OwnerId
from app.domain.layout import marker_key, object_key, result_key, runs_prefix
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.ports import ObjectStore
from app.protocol import inbox, outcome


def commit(store: ObjectStore, owner: OwnerId, record: InboxRecord, ours: RunResult) -> RunResult | None:
    """The result that the run has from now on: ours, or another's that was first. None: the source was deleted meanwhile.

    A refusal is no proof of defeat: client libraries retry by themselves and hand the winner its own refusal, so the fence of
    what is there decides. What a loser made is removed, and so is everything that a commit after the tombstone made.
    """
    inbox.unpack(store, owner, record)
    # Before the result, and whatever it is: after a wipe it is the marker that tells the channel's readers of the source.
    marker = marker_key(ours.ws_uuid, owner, ours.source_uuid)
    store.put(marker, b"")
    key = result_key(owner, ours.source_uuid, ours.run)
    created = store.create(key, ours.to_json())
    winner = ours if created else outcome.result(store, owner, ours.source_uuid, ours.run)
    if outcome.is_deleted(store, owner, ours.source_uuid):
        discard(store, owner, ours)
        store.delete([key, marker, object_key(owner, record.upload)])
        return None
    if winner is None:  # taken away without a tombstone: by nobody of ours
        raise Unavailable("storage_failed", f"{key} was there and is not")
    if winner.fence != ours.fence:
        discard(store, owner, ours)
    return winner


def discard(store: ObjectStore, owner: OwnerId, result: RunResult) -> None:
    """Remove what this attempt made: its artifacts, and the object that it fetched itself."""
    prefix = f"{runs_prefix(owner, result.source_uuid)}{result.run}/{result.fence}/"
    keys = store.keys(prefix)
    if result.url is not None and not result.stored and "original" in result.artifacts:
        keys.append(result.artifacts["original"].key)
    store.delete(keys)
