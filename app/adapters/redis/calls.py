"""Every call of the ledger, sans I/O: which script, which keys, which arguments, and how to read the answer.

ledger.py runs them, once synchronously (workers) and once asynchronously (the API). Each script says what it does at its head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

from app.adapters.celery_queue import message
from app.adapters.redis.keys import Keyspace
from app.domain.channel import ChannelState, Heads, Registration
from app.domain.events import Milestone, SourceAccepted, SourceProgress
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId
from app.domain.jobs import PROCESS_SOURCE, Lane, ProcessSource, lane_of
from app.domain.layout import member, split_member
from app.domain.position import Position, position
from app.domain.results import Moment
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.ports import Claim, Due, LedgerRecord

T = TypeVar("T")

_LAST = b"999999"
"""LAST of `_append.lua`: the attempt of an end."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    script: str
    keys: list[str]
    args: list[str | int | bytes]
    parse: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things hold."""

    lease_seconds: float = 30
    grace_seconds: float = 10
    attempts: int = 3
    turns: int = 16
    """How many runs of one owner are handed out at once, in each lane."""
    events_ttl_seconds: int = 86400
    events_ttl_after_end_seconds: int = 3600


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _moment(epoch: str) -> datetime:
    """When it began: `_append.lua` names it so."""
    return datetime.fromtimestamp(int(epoch[:-5], 16), UTC)


def moments(reply: list[bytes]) -> list[Moment]:
    found = []
    for line in reply:
        at, attempt, what = line.decode().split(" ", 2)
        found.append(Moment(at=datetime.fromtimestamp(int(at) / 1000, UTC), attempt=int(attempt), what=what))
    return found


def _due(name: bytes, run: bytes, lane: bytes) -> Due:
    return Due(*split_member(name.decode()), run=int(run), lane=Lane(lane.decode()))


def ledger_record(h: dict[bytes, bytes]) -> LedgerRecord | None:
    """The hash of a source, as HGETALL answers it."""
    if not h:
        return None
    stage = h.get(b"stage")
    return LedgerRecord(
        run=int(h[b"run"]),
        state=State(h[b"state"].decode()),
        channel=ChannelId(h[b"ws"].decode()),
        attempt=int(h.get(b"attempt", 0)),
        stage=stage.decode() if stage else None,
        progress=int(h.get(b"progress", 0)),
    )


def _claim(reply: list[Any]) -> Claim:
    kind, _, code = reply[0].decode().partition(" ")
    return Claim(kind=kind, attempt=int(reply[1]), worker=reply[2].decode(), lost=bool(reply[3]), progress=int(reply[4]), code=code)


def ended_runs(h: dict[bytes, bytes]) -> set[tuple[SourceId, int]]:
    """The runs whose end is the last that a channel said of their source, from its hash."""
    last = {SourceId(field[2:].decode()): at.split(b":") for field, at in h.items() if field.startswith(b"s:")}
    return {(source, int(at[0])) for source, at in last.items() if at[1] == _LAST}


@dataclass(frozen=True, slots=True)
class Calls:
    keys: Keyspace
    terms: Terms

    def _job(self, owner: OwnerId, source: SourceId, run: int, lane: Lane) -> bytes:
        return message(PROCESS_SOURCE, lane.queue, ProcessSource(owner=owner, source=source, run=run))

    def _turns(self) -> list[str | int | bytes]:
        """The last arguments of every script that ends a run, and so may give its turn to another."""
        return [self.keys.prefix, self.terms.turns, _ms(self.terms.grace_seconds)]

    def _channel(self, owner: OwnerId, channel: ChannelId) -> list[str]:
        """The keys that live and expire together; first in every script that speaks on a channel."""
        k = self.keys
        return [k.channel(owner, channel), k.stream(owner, channel), k.busy(owner, channel), k.alias(channel)]

    def accept(self, owner: OwnerId, record: InboxRecord, receiving: UploadId | None, *, again: bool = False) -> Call[bool]:
        k, source, ws, lane = self.keys, record.source_uuid, record.ws_uuid, lane_of(record)
        return Call(
            "accept",
            [
                *self._channel(owner, ws), k.source(owner, source), k.timeline(owner, source), k.open, k.running, k.waiting(owner, lane),
                k.receiving(owner, ws),
            ],
            [
                member(owner, source), owner, source, record.run, ws, receiving or "", _ms(self.terms.grace_seconds), self.terms.events_ttl_seconds,
                SourceAccepted.of(source, record.run).to_json(), self._job(owner, source, record.run, lane), k.live(owner, ws), k.prefix,
                self.terms.turns, lane, _ms(record.accepted_at.timestamp()) if again else 0,
            ],
            bool,
        )  # fmt: skip

    def claim(self, owner: OwnerId, record: InboxRecord, fence: Fence, worker: str, dead_worker: str) -> Call[Claim]:
        k, source, ws, lane = self.keys, record.source_uuid, record.ws_uuid, lane_of(record)
        return Call(
            "claim",
            [*self._channel(owner, ws), k.source(owner, source), k.timeline(owner, source), k.open, k.running],
            [
                member(owner, source), owner, source, record.run, ws, fence, worker, _ms(self.terms.lease_seconds), self.terms.attempts,
                dead_worker or "-", self.terms.events_ttl_seconds, k.prefix, self.terms.turns, lane, self._job(owner, source, record.run, lane),
                _ms(self.terms.grace_seconds),
            ],
            _claim,
        )  # fmt: skip

    def beat(self, owner: OwnerId, record: InboxRecord, fence: Fence, worker: str, attempt: int) -> Call[bool]:
        k, source, ws = self.keys, record.source_uuid, record.ws_uuid
        return Call(
            "beat",
            [*self._channel(owner, ws), k.source(owner, source), k.open, k.running],
            [
                member(owner, source), owner, source, record.run, ws, fence, worker, attempt, _ms(self.terms.lease_seconds),
                self.terms.events_ttl_seconds, k.prefix, lane_of(record),
            ],
            bool,
        )  # fmt: skip

    def release(self, owner: OwnerId, record: InboxRecord, fence: Fence, *, overran: bool) -> Call[bool]:
        k, source = self.keys, record.source_uuid
        return Call(
            "release",
            [k.source(owner, source), k.timeline(owner, source), k.open, k.running],
            [member(owner, source), record.run, fence, _ms(self.terms.grace_seconds), str(int(overran))],
            bool,
        )

    def defer(self, owner: OwnerId, source: SourceId, seconds: float) -> Call[bool]:
        return Call("defer", [self.keys.source(owner, source), self.keys.open], [member(owner, source), _ms(seconds)], bool)

    def append(self, owner: OwnerId, record: InboxRecord, event: Milestone, fence: Fence, attempt: int, seq: int, stage: Stage | None) -> Call[bool]:
        k, source, ws = self.keys, record.source_uuid, record.ws_uuid
        return Call(
            "milestone",
            [*self._channel(owner, ws), k.source(owner, source), k.timeline(owner, source)],
            [owner, source, record.run, attempt, seq, fence, stage or "", event.to_json(), self.terms.events_ttl_seconds, k.live(owner, ws)],
            bool,
        )

    def progress(self, owner: OwnerId, record: InboxRecord, event: SourceProgress, fence: Fence) -> Call[bool]:
        k, source, ws = self.keys, record.source_uuid, record.ws_uuid
        return Call(
            "progress",
            [k.source(owner, source), k.progress(owner, ws), k.channel(owner, ws)],
            [source, record.run, fence, event.progress, event.to_json(), k.live(owner, ws), self.terms.events_ttl_seconds],
            bool,
        )

    def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, state: State) -> Call[bool]:
        k, source, ws = self.keys, record.source_uuid, record.ws_uuid
        return Call(
            "finish",
            [*self._channel(owner, ws), k.source(owner, source), k.timeline(owner, source), k.open, k.running, k.progress(owner, ws)],
            [
                member(owner, source), owner, source, record.run, ws, state, event.to_json(), self.terms.events_ttl_after_end_seconds,
                k.live(owner, ws), *self._turns(),
            ],
            bool,
        )  # fmt: skip

    def forget(self, owner: OwnerId, source: SourceId) -> Call[None]:
        k, unnamed = self.keys, ChannelId("")  # the script learns the channel from the record
        return Call(
            "forget",
            [k.source(owner, source), k.timeline(owner, source), k.open, k.running],
            [
                member(owner, source), owner, source, self.terms.events_ttl_after_end_seconds, *self._channel(owner, unnamed),
                k.progress(owner, unnamed), *self._turns(),
            ],
            lambda _: None,
        )  # fmt: skip

    def timeline(self, owner: OwnerId, source: SourceId, run: int) -> Call[list[Moment]]:
        return Call("timeline", [self.keys.source(owner, source), self.keys.timeline(owner, source)], [run], moments)

    def requeue(self, due: Due, dead_worker: str) -> Call[bool]:
        k = self.keys
        return Call(
            "requeue",
            [k.source(due.owner, due.source), k.open, k.running],
            [
                member(due.owner, due.source), due.run, _ms(self.terms.grace_seconds), self._job(due.owner, due.source, due.run, due.lane),
                dead_worker, k.prefix, due.owner, due.source, self.terms.turns, due.lane,
            ],
            bool,
        )  # fmt: skip

    def due(self, limit: int) -> Call[list[Due]]:
        def parse(reply: list[bytes]) -> list[Due]:
            return [_due(*one) for one in zip(*[iter(reply)] * 3, strict=True)]

        return Call("due", [self.keys.open], [limit, self.keys.sources], parse)

    def running(self) -> Call[list[tuple[Due, str]]]:
        def parse(reply: list[bytes]) -> list[tuple[Due, str]]:
            found = []
            for name, held, lane in zip(*[iter(reply)] * 3, strict=True):
                run, _, worker = held.partition(b" ")
                found.append((_due(name, run, lane), worker.decode()))
            return found

        return Call("running", [self.keys.running], [self.keys.sources], parse)

    def place(self, owner: OwnerId, source: SourceId) -> Call[int | None]:
        return Call("place", [self.keys.source(owner, source)], [owner, source, self.keys.prefix], lambda r: int(r) or None)

    def backlog(self, owner: OwnerId) -> Call[int]:
        keys = [key for lane in Lane for key in (self.keys.turns(owner, lane), self.keys.waiting(owner, lane))]
        return Call("backlog", keys, [], int)

    def wake(self, owner: OwnerId, lane: Lane) -> Call[int]:
        return Call("wake", [self.keys.turns(owner, lane)], [owner, lane, self.terms.turns, _ms(self.terms.grace_seconds), self.keys.prefix], int)

    def unopened(self, sources: Sequence[tuple[OwnerId, SourceId]]) -> Call[list[tuple[OwnerId, SourceId]]]:
        return Call("unopened", [self.keys.source(*source) for source in sources], [], lambda r: [sources[place - 1] for place in r])

    def scan(self, token: str, *, ends: bool) -> Call[None]:
        return Call("scan", [self.keys.scan], [token, str(int(ends))], lambda _: None)

    def lead(self, name: str, seconds: int) -> Call[bool]:
        return Call("lead", [self.keys.leader], [name, _ms(seconds)], bool)

    def register(
        self,
        owner: OwnerId,
        channel: ChannelId,
        *,
        explicit: bool,
        keep_open: bool | None = None,
        expect: int | None = None,
        force: Literal["", "name", "channel"] = "",
    ) -> Call[Registration]:
        keep = "" if keep_open is None else str(int(keep_open))
        return Call(
            "register",
            self._channel(owner, channel),
            [owner, self.terms.events_ttl_seconds, str(int(explicit)), keep, force, "" if expect is None else expect],
            lambda r: Registration(owner=OwnerId(r[0].decode()), new=bool(r[1])),
        )

    def receiving(self, owner: OwnerId, channel: ChannelId, upload: UploadId, seconds: int) -> Call[None]:
        return Call("receiving", [self.keys.receiving(owner, channel)], [upload, _ms(seconds)], lambda _: None)

    def heads(self, channels: Sequence[tuple[OwnerId, ChannelId]]) -> Call[Heads]:
        def parse(reply: list[Any]) -> Heads:
            epochs, heads, life = reply
            return Heads([Position(epoch.decode(), int(head)) if epoch else None for epoch, head in zip(epochs, heads, strict=True)], life.decode())

        return Call("heads", [self.keys.channel(*channel) for channel in channels], [], parse)

    def told(self, owner: OwnerId, channel: ChannelId, last: Position) -> Call[None]:
        return Call("told", [self.keys.channel(owner, channel)], [*last], lambda _: None)

    def state(self, owner: OwnerId, channel: ChannelId) -> Call[ChannelState | None]:
        k = self.keys

        def parse(reply: list[Any]) -> ChannelState | None:
            if not reply:
                return None
            head, epoch, mark, keep, busy, first, registered, expected, ended, past, restarted = reply
            ends = tuple(position(end) for end in past.decode().split())
            return ChannelState(
                owner=owner, head=int(head), epoch=epoch.decode(), mark=int(mark), keep_open=keep == b"1", busy=int(busy), first=int(first),
                registered=registered == b"1", expected=int(expected), ended=int(ended), past=ends, restarted=bool(restarted),
                began=_moment(ends[0].epoch if ends else epoch.decode()),
            )  # fmt: skip

        return Call("channel", [k.channel(owner, channel), k.busy(owner, channel), k.receiving(owner, channel), k.stream(owner, channel)], [], parse)
