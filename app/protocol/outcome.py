"""What a source has come to, as the store tells it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import result_key, runs_prefix, source_prefix, tombstone_key
from app.domain.results import RunResult
from app.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Outcome:
    deleted: bool = False
    result: RunResult | None = None
    """Of the latest run that was committed."""


def outcome(store: ObjectStore, owner: OwnerId, source: SourceId) -> Outcome:
    """One listing for a source that has no past, which is the usual one; three requests and more for others."""
    below = store.names(source_prefix(owner, source))
    if "deleted" in below:
        return Outcome(deleted=True)
    if "runs/" not in below:
        return Outcome()
    runs = sorted((int(name.rstrip("/")) for name in store.names(runs_prefix(owner, source))), reverse=True)
    for run in runs:
        found = result(store, owner, source, run)
        if found is not None:
            return Outcome(result=found)
    return Outcome()


def result(store: ObjectStore, owner: OwnerId, source: SourceId, run: int) -> RunResult | None:
    """The commit of one run, or None while there is none. Raises Newer."""
    try:
        return RunResult.of_json(store.get(result_key(owner, source, run)))
    except ObjectNotFound:
        return None


def is_deleted(store: ObjectStore, owner: OwnerId, source: SourceId) -> bool:
    return store.stat(tombstone_key(owner, source)) is not None
