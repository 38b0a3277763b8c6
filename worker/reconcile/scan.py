"""The inbox, page by page: what ended is said, what was deleted goes, what Redis does not know is opened again. It costs what is open."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from app.domain.ids import OwnerId, SourceId
from app.domain.layout import split_member
from app.protocol import inbox
from app.protocol.outcome import outcome
from worker.pipeline.run import Parts, bury, conclude

log = logging.getLogger("reconciler")

PAGE = 250
"""Sources in one step. With three requests each to a store that takes 20 ms for one, that is two seconds."""
_THREADS = 8


class Scan:
    """One at a time. What is opened again goes through the turns of its owner (docs/adr/0018), so however much it is, the queues stay short."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._after: str | None = None
        self._token = ""
        self._thorough = False

    @property
    def is_running(self) -> bool:
        return self._after is not None

    def begin(self, *, thorough: bool) -> None:
        """`thorough`: look also at what Redis knows to be open. Raises Unavailable."""
        self._token = uuid.uuid4().hex
        self._parts.ledger.begin_scan(self._token)
        self._after, self._thorough = "", thorough

    def step(self) -> Counter[str]:
        """One page; what was done, by kind. Raises Unavailable: then the same page comes again."""
        names = inbox.page(self._parts.store, after=self._after or "", limit=PAGE)
        if not names:
            self._after = None
            # Nobody's, when Redis was wiped since it began: then there is another scan at once.
            self._parts.ledger.end_scan(self._token)
            return Counter()
        sources = [source for source in map(_source_of, names) if source is not None]
        unopened = set(self._parts.ledger.unopened(sources))
        wanted = sources if self._thorough else [source for source in sources if source in unopened]
        with ThreadPoolExecutor(_THREADS) as pool:
            done = Counter(what for what in pool.map(lambda source: self._look(source, is_open=source not in unopened), wanted) if what)
        self._after = names[-1]
        return done

    def _look(self, at: tuple[OwnerId, SourceId], *, is_open: bool) -> str | None:
        """`is_open`: Redis knows it, so whoever has it, or comes after him, says its end; he may have more to tell before."""
        owner, source = at
        parts = self._parts
        try:
            record = inbox.read(parts.store, owner, source)
            past = outcome(parts.store, owner, source)
        except ValueError:
            log.exception("the inbox record or a result of %s~%s cannot be read; it is left alone", owner, source)
            return None
        if record is None:
            return None
        if past.deleted:
            bury(parts, owner, source)
            return "buried"
        if past.result is not None and past.result.run >= record.run:
            if is_open:
                return None
            conclude(parts, owner, record, past.result)
            return "announced"
        return "opened" if parts.ledger.accept(owner, record, again=True) else None


def _source_of(name: str) -> tuple[OwnerId, SourceId] | None:
    try:
        return split_member(name)
    except ValueError:
        log.warning("%r in the inbox is no source of ours; it is left alone", name)
        return None
