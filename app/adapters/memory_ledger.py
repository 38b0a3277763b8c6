"""The ledger in this process's memory: the double that tests use, held to the same suite as the one over Redis.

Two faces over one state, since ports.Ledger and ports.AsyncLedger share their names; the other is in memory_channels.py.
Nothing expires, and nothing is published. More than 350 lines: it is read beside ports.Ledger, method by method.
"""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.adapters.memory_turns import MemoryTurns
from app.adapters.redis.calls import Terms
from app.domain.events import Batch, Milestone, SourceAccepted, SourceProgress
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId
from app.domain.jobs import Lane, lane_of
from app.domain.position import Position
from app.domain.results import Moment
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.ports import Claim, Clock, Due, LedgerRecord

END = 10**6
"""The attempt of a terminal milestone: nothing of the same run comes after it."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_EPOCHS = 16
_Source = tuple[OwnerId, SourceId]
_Written = tuple[Any, ...]


@dataclass
class _Run:
    public: LedgerRecord
    due: datetime
    lane: Lane
    waits: bool = False
    """For its owner's turn: no message of it was sent."""
    fence: Fence | None = None
    worker: str = ""
    lease: datetime = _NEVER
    lost: bool = False
    requeues: int = 0
    overran: int = 0
    timeline: list[Moment] = field(default_factory=list)

    def due_of(self, owner: OwnerId, source: SourceId) -> Due:
        return Due(owner, source, self.public.run, self.lane)

    def set(self, **changes: object) -> None:
        self.public = replace(self.public, **changes)  # type: ignore[arg-type]


@dataclass
class MemoryChannel:
    began: datetime = _NEVER
    life: str = ""
    """Of the server, when the epoch began."""
    epoch: str = field(default_factory=lambda: uuid.uuid4().hex)
    past: list[Position] = field(default_factory=list)
    """Epochs before this one, each with its last offset."""
    stream: list[bytes] = field(default_factory=list)
    first: int = 1
    """Offset of the first milestone that is kept: a test raises it, to trim the stream."""
    latest: dict[SourceId, tuple[int, int, int]] = field(default_factory=dict)
    """Run, attempt and seq of each source's last milestone."""
    mark: int = 0
    told: int = 0
    keep_open: bool = False
    registered: bool = False
    expected: int = 0
    fates: dict[SourceId, State] = field(default_factory=dict)
    """How each source ended that counts; of its latest run."""
    busy: set[SourceId] = field(default_factory=set)
    receiving: dict[UploadId, datetime] = field(default_factory=dict)
    progress: dict[SourceId, bytes] = field(default_factory=dict)
    open: bool = False
    """False: it only counts who is at work; nothing was said or registered yet."""

    def say(self, event: Milestone | Batch, life: str) -> None:
        if self.life != life:
            self.past.append(Position(self.epoch, len(self.stream)))
            self.epoch, self.life = uuid.uuid4().hex, life
            if len(self.past) > _EPOCHS:
                self.first = max(self.first, self.past.pop(0).offset + 1)
        offset = len(self.stream) + 1
        self.stream.append(b'{"event-id":"%s:%d",' % (self.epoch.encode(), offset) + event.to_json()[1:])

    def begin_count(self, expect: int | None, *, anew: bool) -> None:
        self.expected = expect or 0
        if anew:
            self.fates.clear()


class MemoryState:
    """What both faces share. `enqueued` are the jobs that were sent and that nobody took, oldest first."""

    def __init__(self, terms: Terms | None = None, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.terms = terms or Terms()
        self.clock = clock
        self.lock = threading.RLock()
        self.life = uuid.uuid4().hex
        self.wipe()

    def wipe(self) -> None:
        """As a FLUSHALL does."""
        self.runs: dict[_Source, _Run] = {}
        self.channels: dict[tuple[OwnerId, ChannelId], MemoryChannel] = {}
        self.aliases: dict[ChannelId, OwnerId] = {}
        self.tickets: dict[str, tuple[OwnerId, ChannelId, datetime]] = {}
        self.enqueued: list[Due] = []
        self.turns = MemoryTurns(self.terms.turns, self.hand_out)
        self.scan_token, self.whole = "", False
        self.leader: tuple[str, datetime] = ("", _NEVER)

    def written(self) -> _Written:
        """As much as is on disk now."""
        with self.lock:
            scan = (self.scan_token, self.whole)
            return copy.deepcopy((self.runs, self.channels, self.aliases, self.tickets, self.enqueued, self.leader, self.turns.tables, scan))

    def restart(self, written: _Written | None = None) -> None:
        """Another life of the server, which knows what was `written`, or all."""
        with self.lock:
            self.life = uuid.uuid4().hex
            if written is not None:
                self.runs, self.channels, self.aliases, self.tickets, self.enqueued, self.leader, tables, scan = copy.deepcopy(written)
                self.turns.tables, (self.scan_token, self.whole) = tables, scan

    def channel(self, owner: OwnerId, name: ChannelId) -> MemoryChannel:
        return self.channels.setdefault((owner, name), MemoryChannel(self.clock(), self.life))

    def opened(self, owner: OwnerId, name: ChannelId) -> MemoryChannel:
        found = self.channel(owner, name)
        if not found.open:
            found.open, found.began, found.life = True, self.clock(), self.life
        return found

    def known(self, owner: OwnerId, source: SourceId) -> int:
        run = self.runs.get((owner, source))
        return run.public.run if run else 0

    def in_(self, seconds: float) -> datetime:
        return self.clock() + timedelta(seconds=seconds)

    def begin(self, owner: OwnerId, record: InboxRecord, *, seconds: float) -> _Run:
        self.channel(owner, record.ws_uuid).busy.add(record.source_uuid)
        made = _Run(LedgerRecord(record.run, State.ACCEPTED, record.ws_uuid), self.in_(seconds), lane_of(record))
        self.runs[owner, record.source_uuid] = made
        return made

    def hand_out(self, owner: OwnerId, lane: Lane, source: SourceId) -> bool:
        run = self.runs.get((owner, source))
        if run is None or not run.waits or run.lane is not lane or run.public.state is not State.ACCEPTED:
            return False
        run.waits, run.due = False, self.in_(self.terms.grace_seconds)
        self.enqueued.append(run.due_of(owner, source))
        return True

    def park(self, owner: OwnerId, source: SourceId) -> None:
        run = self.runs[owner, source]
        run.waits = True
        self.turns.wait(owner, run.lane, source)

    def note(self, run: _Run, what: str, attempt: int) -> None:
        run.timeline.append(Moment(at=self.clock(), what=what, attempt=attempt))

    def mine(self, owner: OwnerId, record: InboxRecord, fence: Fence) -> _Run | None:
        run = self.runs.get((owner, record.source_uuid))
        ours = run is not None and run.public.run == record.run and run.public.state is State.PROCESSING and run.fence == fence
        return run if ours else None

    def tell(self, owner: OwnerId, record: InboxRecord, event: Milestone, attempt: int, seq: int) -> bool:
        channel = self.opened(owner, record.ws_uuid)
        position = (record.run, attempt, seq)
        if channel.latest.get(record.source_uuid, (0, 0, 0)) >= position:
            return False
        channel.latest[record.source_uuid] = position
        channel.fates.pop(record.source_uuid, None)
        channel.say(event, self.life)
        return True

    def end(self, owner: OwnerId, record: InboxRecord, event: Milestone, state: State) -> bool:
        if not self.tell(owner, record, event, END, 0):
            return False
        channel = self.channel(owner, record.ws_uuid)
        channel.fates[record.source_uuid] = state
        done, ended = list(channel.fates.values()).count(State.SUCCEEDED), len(channel.fates)
        total = max(channel.expected, ended + len(channel.busy))
        if channel.expected or total > 1:
            channel.say(Batch(at=event.at, done=done, failed=ended - done, total=total, percent=100 * ended // total), self.life)
        return True


class MemoryLedger:
    """Implements ports.Ledger."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None, again: bool = False) -> bool:
        s = self._state
        with s.lock:
            if receiving is not None:
                s.channel(owner, record.ws_uuid).receiving.pop(receiving, None)
            if s.known(owner, record.source_uuid) >= record.run:
                return False
            missed = s.runs.get((owner, record.source_uuid))
            run = s.begin(owner, record, seconds=0)
            s.note(run, "accepted", 0)
            s.park(owner, record.source_uuid)
            if missed is not None and missed.lane is run.lane:
                s.turns.give(owner, run.lane, record.source_uuid)
            elif missed is not None:
                s.turns.end(owner, missed.lane, record.source_uuid)
            s.turns.wake(owner, run.lane)
            holder = s.aliases.get(record.ws_uuid)
            if holder is None or (again and holder != owner and s.channel(holder, record.ws_uuid).began > record.accepted_at):
                s.aliases[record.ws_uuid] = owner
            s.tell(owner, record, SourceAccepted.of(record.source_uuid, record.run), 0, 0)
            return True

    def claim(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, dead_worker: str = "") -> Claim:
        s = self._state
        with s.lock:
            run = s.runs.get((owner, record.source_uuid))
            if run is not None and (run.public.run > record.run or (run.public.run == record.run and run.public.state.is_terminal)):
                return Claim("over")
            if run is None or run.public.run < record.run:
                if run is not None:
                    s.turns.end(owner, run.lane, record.source_uuid)
                run = s.begin(owner, record, seconds=0)
            if s.mine(owner, record, fence) is None:
                if run.lease > s.clock() and run.worker != (dead_worker or None):
                    return Claim("busy", run.public.attempt, run.worker)
                if not s.turns.take(owner, run.lane, record.source_uuid, force=run.public.state is State.PROCESSING):
                    s.park(owner, record.source_uuid)
                    return Claim("waits", run.public.attempt)
                run.waits = False
                run.lost = run.public.state is State.PROCESSING
                if run.lost:
                    s.note(run, "worker lost", run.public.attempt)
                run.set(state=State.PROCESSING, attempt=run.public.attempt + 1)
                s.note(run, "claimed", run.public.attempt)
            run.fence, run.worker, run.lease = fence, worker, s.in_(s.terms.lease_seconds)
            run.due = run.lease
            code = "crash" if run.public.attempt > s.terms.attempts else "timeout" if run.overran >= s.terms.attempts else ""
            return Claim("spent" if code else "ok", run.public.attempt, worker, run.lost, run.public.progress, code)

    def beat(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int) -> bool:
        s = self._state
        with s.lock:
            if (owner, record.source_uuid) not in s.runs:
                made = s.begin(owner, record, seconds=0)
                made.set(state=State.PROCESSING, attempt=attempt)
                made.fence, made.worker = fence, worker
                s.turns.take(owner, made.lane, record.source_uuid, force=True)
            run = s.mine(owner, record, fence)
            if run is None:
                return False
            run.lease = run.due = s.in_(s.terms.lease_seconds)
            return True

    def release(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, overran: bool = False) -> bool:
        s = self._state
        with s.lock:
            run = s.mine(owner, record, fence)
            if run is None:
                return False
            s.note(run, "took too long" if overran else "released", run.public.attempt)
            run.overran += overran
            run.set(state=State.ACCEPTED, attempt=run.public.attempt - 1)
            run.fence, run.worker, run.lease, run.due = None, "", _NEVER, s.in_(s.terms.grace_seconds)
            return True

    def append(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, fence: Fence, attempt: int, seq: int, stage: Stage | None) -> bool:
        s = self._state
        with s.lock:
            run = s.mine(owner, record, fence)
            if run is None and (owner, record.source_uuid) in s.runs:
                return False
            if not s.tell(owner, record, event, attempt, seq):
                return False
            if run is not None and stage is not None:
                s.note(run, stage, attempt)
                run.set(stage=stage.value)
            return True

    def progress(self, owner: OwnerId, record: InboxRecord, event: SourceProgress, *, fence: Fence) -> bool:
        s = self._state
        with s.lock:
            run = s.mine(owner, record, fence)
            if run is None or event.progress < run.public.progress:
                return False
            run.set(progress=event.progress)
            channel = s.channel(owner, record.ws_uuid)
            stands = b"%d %s " % (len(channel.stream), channel.epoch.encode()) if channel.open else b""
            channel.progress[record.source_uuid] = stands + event.to_json()
            return True

    def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool:
        s = self._state
        with s.lock:
            known, before = s.known(owner, record.source_uuid), s.runs.get((owner, record.source_uuid))
            if known < record.run:
                s.begin(owner, record, seconds=0)
            if known <= record.run:
                run, channel = s.runs[owner, record.source_uuid], s.channel(owner, record.ws_uuid)
                if not run.public.state.is_terminal:
                    run.set(state=state)
                    run.fence, run.worker, run.lease = None, "", _NEVER
                    channel.busy.discard(record.source_uuid)
                    channel.progress.pop(record.source_uuid, None)
                    if before is not None:
                        s.turns.end(owner, before.lane, record.source_uuid)
            return s.end(owner, record, event, state)

    def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]:
        with self._state.lock:
            found = self._state.runs.get((owner, source))
            return list(found.timeline) if found and found.public.run == run else []

    def due(self, *, limit: int) -> list[Due]:
        s = self._state
        with s.lock:
            waiting = [(run.due, *key) for key, run in s.runs.items() if not run.public.state.is_terminal and not run.waits and run.due <= s.clock()]
            return [s.runs[owner, source].due_of(owner, source) for _, owner, source in sorted(waiting)[:limit]]

    def running(self) -> list[tuple[Due, str]]:
        with self._state.lock:
            return [(run.due_of(*key), run.worker) for key, run in self._state.runs.items() if run.public.state is State.PROCESSING and run.lease != _NEVER]

    def defer(self, owner: OwnerId, source: SourceId, *, seconds: float) -> bool:
        with self._state.lock:
            run = self._state.runs.get((owner, source))
            if run is None or run.public.state.is_terminal or run.lease > self._state.clock():
                return False
            run.due = self._state.in_(seconds)
            return True

    def requeue(self, due: Due, *, dead_worker: str = "") -> bool:
        s = self._state
        with s.lock:
            run = s.runs.get((due.owner, due.source))
            if run is None or run.public.run != due.run or run.public.state.is_terminal or run.waits:
                return False
            died = run.lease > s.clock() and run.worker == dead_worker
            if not died and max(run.lease, run.due) > s.clock():
                return False
            is_sent = run.public.state is State.ACCEPTED and run.due_of(due.owner, due.source) in s.enqueued
            run.lease, run.due = _NEVER, s.in_(s.terms.grace_seconds * 2 ** min(run.requeues, 3 if is_sent else 6))
            run.requeues += 1
            if is_sent:
                return False
            if not s.turns.take(due.owner, run.lane, due.source, force=run.public.state is State.PROCESSING):
                s.park(due.owner, due.source)
                return False
            s.enqueued.append(run.due_of(due.owner, due.source))
            return True

    def unopened(self, sources: Sequence[tuple[OwnerId, SourceId]]) -> list[tuple[OwnerId, SourceId]]:
        runs = self._state.runs
        return [source for source in sources if source not in runs or runs[source].public.state.is_terminal]

    def begin_scan(self, token: str) -> None:
        self._state.scan_token = token

    def end_scan(self, token: str) -> None:
        self._state.whole = self._state.whole or (token == self._state.scan_token)

    def is_whole(self) -> bool:
        return self._state.whole

    def queueing(self) -> list[tuple[OwnerId, Lane]]:
        with self._state.lock:
            return self._state.turns.queueing()

    def wake(self, owner: OwnerId, lane: Lane) -> int:
        s = self._state
        with s.lock:
            for source in s.turns.taken(owner, lane):
                run = s.runs.get((owner, source))
                if run is None or run.public.state.is_terminal or run.lane is not lane:
                    s.turns.give(owner, lane, source)
            return s.turns.wake(owner, lane)

    def place(self, owner: OwnerId, source: SourceId) -> int | None:
        s = self._state
        with s.lock:
            run = s.runs.get((owner, source))
            if run is None or run.public.state is not State.ACCEPTED:
                return None
            sent = [due for due in s.enqueued if due.lane is run.lane]
            rank = s.turns.rank(owner, run.lane, source)
            if rank is not None:
                return len(sent) + rank + 1
            places = [place for place, due in enumerate(sent, 1) if (due.owner, due.source, due.run) == (owner, source, run.public.run)]
            return places[-1] if places else 1

    def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None:
        run = self._state.runs.get((owner, source))
        return run.public if run else None

    def forget(self, owner: OwnerId, source: SourceId) -> None:
        with self._state.lock:
            run = self._state.runs.pop((owner, source), None)
            if run is not None:
                channel = self._state.channel(owner, run.public.channel)
                channel.busy.discard(source)
                channel.progress.pop(source, None)
                self._state.turns.end(owner, run.lane, source)

    def lead(self, name: str, *, seconds: int) -> bool:
        s = self._state
        with s.lock:
            leader, until = s.leader
            if leader != name and until > s.clock():
                return False
            s.leader = (name, s.in_(seconds))
            return True

    def ping(self) -> None:
        pass

    def close(self) -> None:
        pass
