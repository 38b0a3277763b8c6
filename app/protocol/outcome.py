"""What a source has come to, as the store tells it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import result_key, source_prefix, tombstone_key
from app.domain.results import RunResult
from app.domain.source import State
from app.ports import ObjectStore

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    deleted: bool = False
    result: RunResult | None = None
    """Of the latest run that was committed."""


def outcome(store: ObjectStore, owner: OwnerId, source: SourceId) -> Outcome:
    """One listing, and one request more for a source that has ended; a listing more for each 1,000 things that its runs left."""
    prefix, after, runs = source_prefix(owner, source), "", []
    while keys := store.keys(prefix, after=after, limit=_PAGE):
        if tombstone_key(owner, source) in keys:
            return Outcome(deleted=True)
        runs += [int(key.split("/")[-2]) for key in keys if key.endswith("/result.json")]
        if len(keys) < _PAGE:
            break
        after = keys[-1]
    for run in sorted(runs, reverse=True):
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


def standing(store: ObjectStore, owner: OwnerId, latest: RunResult) -> RunResult | None:
    """What may be read of a source: the result of its latest run, or, where that came to nothing, of the last one that succeeded.

    Nothing that is infected stands, whatever was read of it before. One request for each run that came to nothing.
    """
    found: RunResult | None = latest
    while found is not None and found.state is not State.SUCCEEDED:
        if found.code == "infected" or found.run == 1:
            return None
        found = result(store, owner, latest.source_uuid, found.run - 1)
    return found


def is_deleted(store: ObjectStore, owner: OwnerId, source: SourceId) -> bool:
    return store.stat(tombstone_key(owner, source)) is not None
