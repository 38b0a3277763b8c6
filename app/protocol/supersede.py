"""Supersede: what earlier runs made goes when a later one stands. Their results stay, since links to the bytes name them."""

from __future__ import annotations

from app.domain.ids import OwnerId
from app.domain.layout import artifact_run, dead_key, runs_prefix
from app.domain.results import RunResult
from app.domain.source import State
from app.ports import ObjectStore


def supersede(store: ObjectStore, owner: OwnerId, result: RunResult) -> None:
    """After the end was said and before the inbox record goes, so that whoever takes up a run that was cut short repeats it.

    Costs nothing for a first run. A run that came to nothing leaves what stood before, unless it found it infected.
    """
    if result.run == 1 or (result.state is not State.SUCCEEDED and result.code != "infected"):
        return
    prefix, after = runs_prefix(owner, result.source_uuid), ""
    while page := store.keys(prefix, after=after):
        after = page[-1]
        old = [key for key in page if (run := artifact_run(key)) is not None and run < result.run]
        if old:
            store.delete(old)
    if result.state is State.SUCCEEDED:
        store.delete([dead_key(owner, result.source_uuid)])
