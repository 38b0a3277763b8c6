"""What an attempt tells its channel. While Redis is away the work goes on: milestones are kept and told in their order when it is back."""

from __future__ import annotations

from collections import deque

from app.domain.errors import Unavailable
from app.domain.events import SourceProcessing, SourceProgress
from app.domain.ids import Fence, OwnerId
from app.domain.source import InboxRecord
from app.domain.stages import Stage
from app.ports import Ledger
from worker.pipeline.lease import Heartbeat


class Story:
    """One attempt's milestones, numbered, and its progress. Nothing here raises but `catch_up`.

    The heartbeat knows whether Redis is away; then nobody asks it, or a frozen one would hold up each report for seconds. An attempt has
    about ten milestones, so what is kept is small.
    """

    def __init__(self, ledger: Ledger, owner: OwnerId, record: InboxRecord, *, fence: Fence, attempt: int, heartbeat: Heartbeat) -> None:
        self._ledger = ledger
        self._owner = owner
        self._record = record
        self._fence = fence
        self._attempt = attempt
        self._heartbeat = heartbeat
        self._seq = 0
        self._untold: deque[tuple[int, SourceProcessing, Stage | None]] = deque()

    def tell(self, event: SourceProcessing, stage: Stage | None) -> None:
        """A milestone, now or when Redis is back."""
        self._seq += 1
        self._untold.append((self._seq, event, stage))
        self._if_there()

    def progress(self, event: SourceProgress) -> None:
        """The latest value; dropped while Redis is away."""
        if self._if_there():
            try:
                self._ledger.progress(self._owner, self._record, event, fence=self._fence)
            except Unavailable:
                self._heartbeat.is_away = True

    def catch_up(self) -> None:
        """Tell what was kept. Each milestone is told once, however often this is tried. Raises Unavailable."""
        while self._untold:
            seq, event, stage = self._untold[0]
            try:
                self._ledger.append(self._owner, self._record, event, fence=self._fence, attempt=self._attempt, seq=seq, stage=stage)
            except Unavailable:
                self._heartbeat.is_away = True
                raise
            self._untold.popleft()

    def _if_there(self) -> bool:
        """Whether all was told that was kept."""
        if self._heartbeat.is_away:
            return False
        try:
            self.catch_up()
        except Unavailable:
            return False
        return True
