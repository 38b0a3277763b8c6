"""What one owner has in the store, and what of it belongs to nothing.

The order of the looks makes them sound: who is in the inbox is read first, then the bytes are listed, then the sources with their results. A run that
ends meanwhile is either in what was read first or in what is read last.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby

from app.domain.errors import ObjectNotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.layout import OBJECTS, sources_prefix, tombstone_key
from app.domain.results import RunResult
from app.ports import Listed, ObjectStore
from app.protocol import inbox
from worker.pipeline.run import Parts, bury

log = logging.getLogger("reconciler")

_ARTIFACT = "sources/<owner>/<source>/runs/<n>/<fence>/<artifact>"
CANDIDATES = 100_000
"""Keys that are held in memory at once, some 10 MB. An owner with more new ones since the last sweep is walked through several times."""


class Holdings:
    def __init__(
        self, parts: Parts, pool: ThreadPoolExecutor, owner: OwnerId, *, since: datetime, before: datetime, tombstones_before: datetime,
        ended_before: datetime | None,
    ) -> None:  # fmt: skip
        self._parts = parts
        self._store = parts.store
        self._pool = pool
        self._owner = owner
        self._since = since
        self._before = before
        self._tombstones_before = tombstones_before
        self._ended_before = ended_before
        self._open: set[SourceId] = set()
        self._doubts = False

    def sweep(self) -> Iterator[Counter[str]]:
        """In steps of a page each; what each removed. Raises Unavailable."""
        self._open = set(inbox.sources_of(self._store, self._owner))
        after, is_first = "", True
        while is_first or after:
            named = self._open_objects()
            candidates, after = self._candidates(after)
            for page in _pages(self._store, sources_prefix(self._owner)):
                results = self._results(page, all_since=min(candidates.values(), default=None))
                for result in results.values():
                    for artifact in result.artifacts.values():
                        candidates.pop(artifact.key, None)
                yield self._sources(page, results) if is_first else Counter()
            orphans = [] if self._doubts else [key for key in candidates if key not in named]
            self._store.delete(orphans)
            yield Counter(objects=len(orphans))
            is_first = False

    def _open_objects(self) -> set[str]:
        """The bytes that acceptances name."""
        records = self._pool.map(self._record, sorted(self._open))
        return {f"{OBJECTS}{self._owner}/{upload}" for upload in records if upload}

    def _record(self, source: SourceId) -> str | None:
        try:
            record = inbox.read(self._store, self._owner, source)
        except ValueError:
            self._doubt(source)
            return None
        return record.upload if record else None

    def _candidates(self, after: str) -> tuple[dict[str, datetime], str]:
        """Bytes that are old enough, and that no sweep has judged yet; and where the next ones begin, or nothing."""
        found: dict[str, datetime] = {}
        while page := self._store.listing(f"{OBJECTS}{self._owner}/", after=after):
            after = page[-1].key
            found |= {one.key: one.modified for one in page if self._since <= one.modified < self._before}
            if len(found) >= CANDIDATES:
                return found, after
        return found, ""

    def _results(self, page: list[Listed], *, all_since: datetime | None) -> dict[str, RunResult]:
        """Those of the page that may name a candidate, or whose run has something to be judged. Bytes are older than the result that names them."""
        touched = {_run_of(one.key) for one in page if self._since <= one.modified and not one.key.endswith("/result.json")}
        wanted = [
            one.key
            for one in page
            if one.key.endswith("/result.json") and (one.modified >= self._since or _run_of(one.key) in touched or (all_since and one.modified >= all_since))
        ]
        read = self._pool.map(self._result, wanted)
        return {key: result for key, result in zip(wanted, read, strict=True) if result}

    def _result(self, key: str) -> RunResult | None:
        try:
            return RunResult.model_validate_json(self._store.get(key))
        except ObjectNotFound:
            return None
        except ValueError:
            self._doubt(key)
            return None

    def _doubt(self, what: str) -> None:
        """A newer version may have written it: then nobody here can tell which bytes it names."""
        log.error("%s of owner %s cannot be read; the owner's bytes are left alone", what, self._owner)
        self._doubts = True

    def _sources(self, page: list[Listed], results: dict[str, RunResult]) -> Counter[str]:
        """Each source of a page of keys; pages end where a source does."""
        removed: Counter[str] = Counter()
        for source, files in groupby(page, key=lambda one: SourceId(one.key.split("/")[2])):
            removed += self._source(source, list(files), results)
        return removed

    def _source(self, source: SourceId, files: list[Listed], results: dict[str, RunResult]) -> Counter[str]:
        buried = next((one for one in files if one.key == tombstone_key(self._owner, source)), None)
        if buried is not None:
            return self._buried(source, buried, has_remains=len(files) > 1)
        ends = [one.modified for one in files if one.key.endswith("/result.json")]
        if self._ended_before and ends and max(ends) < self._ended_before and not inbox.is_open(self._store, self._owner, source):
            self._delete(source)
            return Counter(sources=1)
        dead = [key for run, of_run in groupby(files, key=lambda one: _run_of(one.key)) for key in self._dead(source, run, list(of_run), results)]
        self._store.delete(dead)
        return Counter(artifacts=len(dead))

    def _buried(self, source: SourceId, tombstone: Listed, *, has_remains: bool) -> Counter[str]:
        if has_remains:  # the deletion was cut short, or an attempt wrote on after it
            self._delete(source)
            return Counter(deletions=1)
        if tombstone.modified < self._tombstones_before and not inbox.is_open(self._store, self._owner, source):
            self._store.delete([tombstone.key])
            return Counter(tombstones=1)
        return Counter()

    def _delete(self, source: SourceId) -> None:
        is_open = inbox.is_open(self._store, self._owner, source)
        bury(self._parts, self._owner, source)
        if not is_open:
            self._parts.ledger.forget(self._owner, source)

    def _dead(self, source: SourceId, run: str, files: list[Listed], results: dict[str, RunResult]) -> Iterable[str]:
        """What attempts made that did not win. A run that is open, or whose result cannot be read, is left alone; so is what is not ours."""
        if max(one.modified for one in files) < self._since:
            return []  # nothing has come since it was judged
        ended = any(one.key == f"{run}result.json" for one in files)
        artifacts = [one.key for one in files if one.modified < self._before and one.key.count("/") == _ARTIFACT.count("/")]
        if ended:
            result = results.get(f"{run}result.json")
            return [key for key in artifacts if key.split("/")[5] != result.fence] if result else []
        if not artifacts or source in self._open or inbox.is_open(self._store, self._owner, source) or self._store.stat(f"{run}result.json"):
            return []
        return artifacts


def _run_of(key: str) -> str:
    """`sources/<owner>/<source>/runs/<n>/` of a key below it."""
    return "/".join(key.split("/")[:5]) + "/"


def _pages(store: ObjectStore, prefix: str) -> Iterator[list[Listed]]:
    """Of a listing, each ending where a source ends; one whose source has more keys than a page is longer."""
    after, held = "", list[Listed]()
    while page := store.listing(prefix, after=after):
        after = page[-1].key
        held += page
        last = after.split("/")[2]
        whole = [one for one in held if one.key.split("/")[2] != last]
        held = held[len(whole) :]
        if whole:
            yield whole
    if held:
        yield held
