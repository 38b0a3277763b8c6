"""What the inside needs of the outside. Adapters implement these; services, protocol and pipeline see nothing else.

ObjectStore, Fetcher and Ledger are synchronous: boto3 is, and a worker is. The API calls the store through one bounded
`offload` (services/offload.py) and has an asynchronous twin of the ledger. Implementations are safe for use by many threads.

More than 350 lines: the one page on which all of it is read, and most of that is prose.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from app.domain.channel import ChannelState, Heads, Registration
from app.domain.events import Milestone, SourceProgress, SourceReceiving
from app.domain.identity import ApiKey
from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId
from app.domain.jobs import Lane
from app.domain.position import Position
from app.domain.quota import Kind, Standing
from app.domain.results import Moment, RunResult
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage

# ------------------------------------------------------------------------------------------------ object store


@dataclass(frozen=True, slots=True)
class ObjectStat:
    size: int
    media_type: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    key: str
    modified: datetime


class Transfer(Protocol):
    """Bytes on their way into one object, in numbered parts. The object does not exist before `complete`."""

    def put_part(self, number: int, body: bytes | bytearray | memoryview) -> None:
        """Part `number`, from 1 without gaps. May be called for several numbers at once, from several threads.

        Every part but the last has exactly the `part_bytes` that the transfer was started with.
        """

    def complete(self) -> None:
        """Make the object, whole and durable. A repeated or half-answered completion is settled by looking at the object."""

    def abort(self) -> None:
        """Drop all parts. Idempotent, raises nothing: what it could not remove expires by the store's own rule."""


class ObjectStore(Protocol):
    """Objects by key. Keys are those of domain/layout.py: segments of `A-Z a-z 0-9 . _ - ~` parted by `/`, case counts.

    Every method raises Unavailable when the store is away or refuses for now; nothing of a failed write is visible.
    A write that returned is durable. Reads see completed writes at once.
    """

    def put(self, key: str, body: bytes | bytearray | memoryview, *, media_type: str = "application/octet-stream") -> None:
        """Write the object, over another if there is one. One request; for bodies of at most some MiB."""

    def create(self, key: str, body: bytes, *, media_type: str = "application/json") -> bool:
        """Write the object unless the key is taken; atomic among all writers. False when it was taken.

        May answer False to the very writer whose bytes are there (a client library that retried by itself): a caller that
        needs to know compares what it finds.
        """

    def start(self, key: str, *, part_bytes: int, media_type: str = "application/octet-stream") -> Transfer:
        """Begin to write an object in parts of `part_bytes` (at least 5 MiB)."""

    def get(self, key: str) -> bytes:
        """The whole object; for small ones. Raises ObjectNotFound."""

    def stat(self, key: str) -> ObjectStat | None:
        """Size and type, or None when there is no such object."""

    def read(self, key: str, *, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Bytes [start, stop) in chunks of at most `chunk_bytes`. Raises ObjectNotFound, before the first chunk is taken."""

    def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """What comes next below `prefix` (which ends in `/`): names without the prefix, in ascending byte order.

        A name that has more below it ends in `/`. Only names > `after` (give it as returned), at most `limit` (1 to 1,000).
        Cost: what lies directly below the prefix, never what lies elsewhere.
        """

    def keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Whole keys of all objects below `prefix` at any depth, in ascending byte order, after the key `after`."""

    def listing(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Listed]:
        """As `keys`, each with the time of its last write by the store's clock. An object that goes meanwhile may be left out; empty: there are no more."""

    def drop_abandoned(self, before: datetime) -> int:
        """Remove what is left of transfers to which nothing came since `before`; how many. They can no longer be completed. Costs what is under way."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there count as removed. Any number."""

    def link(self, key: str, *, filename: str, media_type: str, seconds: int) -> str | None:
        """A URL at which a client may GET the object for so long, as an attachment; None when the store has no such thing."""

    def path(self, key: str) -> Path | None:
        """The object as a file of this machine, for reading only; None when it is not one. Raises ObjectNotFound."""

    def probe(self) -> None:
        """Prove that the store can keep the promises: create-only really refuses, and we may write, read, list and delete.

        Raises StoreUnfit. A few requests; leaves nothing behind.
        """

    def close(self) -> None:
        """Let go of connections and descriptors."""


# ------------------------------------------------------------------------------------------------ ledger


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to an attempt to take a run."""

    kind: str
    """ok: it is yours · spent: yours, but it was tried too often · busy: another's lease lives · waits: its owner has no turn left · over: it has ended."""
    attempt: int = 0
    worker: str = ""
    """Busy: who holds it (`domain/lease.py` reads it)."""
    lost: bool = False
    """Ok: the attempt before this one was lost with its worker."""
    progress: int = 0
    """Ok: what readers were told so far (0-100); it must not go back."""
    code: str = ""
    """Spent: the failure that it ends in. `crash`: its workers died too often; `timeout`: it was given back as overran too often."""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What Redis knows of a source's latest run. It may know nothing, or be behind the store."""

    run: int
    state: State
    channel: ChannelId
    attempt: int = 0
    stage: str | None = None
    progress: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """An open run that nobody seems to be at work on."""

    owner: OwnerId
    source: SourceId
    run: int
    lane: Lane = Lane.FAST


class Ledger(Protocol):
    """The live state of sources, in Redis: leases, attempts, the open index, and the channels' events.

    Each method is one script, atomic and safe to repeat (client libraries do that by themselves). All of it may be wiped at any
    moment: every method copes with a record that is not there. Raises Unavailable when Redis does not answer in time.
    """

    def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None, again: bool = False) -> bool:
        """Open the run: record and first event at once, and the Celery message if its owner has a turn left in the lane; else it waits for one.

        False when the ledger has this run (or a later one) already. `again`: from the inbox, after a wipe; the bare name then goes back to the
        owner, from whoever registered it after the acceptance.
        """

    def claim(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, dead_worker: str = "") -> Claim:
        """Take the run for one attempt. A lease that lives is respected, unless its worker is `dead_worker`.

        A run that waits for its turn is taken only when there is one; else it goes on waiting, and its message is sent when it has one.
        """

    def beat(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, worker: str, attempt: int) -> bool:
        """Keep the lease. False when the run is no longer ours; a record that is gone (wipe) is written anew."""

    def release(self, owner: OwnerId, record: InboxRecord, *, fence: Fence, overran: bool = False) -> bool:
        """Give the run back, with its attempt; it is due again after the grace. False when it was not ours.

        `overran`: it had no end within its time. That is counted, with the same cap as attempts, so that it does not go round for ever.
        """

    def defer(self, owner: OwnerId, source: SourceId, *, seconds: float) -> bool:
        """Enqueue the open run again in so long, since this process cannot make sense of it. False when somebody is at work, or nothing is open."""

    def append(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, fence: Fence, attempt: int, seq: int, stage: Stage | None) -> bool:
        """Add a milestone of this attempt, once per (source, run, attempt, seq). False when it was there, or the run is not ours."""

    def progress(self, owner: OwnerId, record: InboxRecord, event: SourceProgress, *, fence: Fence) -> bool:
        """Tell readers how far the run is. Dropped (False) when the run is not ours or the number would go back."""

    def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool:
        """Say the end (and the Batch), once per (source, run) and channel, and close the run. False when it was said already."""

    def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None:
        """The source's latest run as the ledger knows it; None when it does not."""

    def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]:
        """What happened to the latest run so far; empty when Redis does not know."""

    def due(self, *, limit: int) -> list[Due]:
        """Open runs that had their turn and whose grace or lease is over, oldest first."""

    def running(self) -> list[tuple[Due, str]]:
        """Runs under a lease, each with its worker. As many as the fleet runs at once."""

    def requeue(self, due: Due, *, dead_worker: str = "") -> bool:
        """Enqueue a due run again, with a growing pause to the next time.

        False when somebody is at work, its message still lies in the queue, or it has ended.
        """

    def queueing(self) -> list[tuple[OwnerId, Lane]]:
        """Whose runs wait for a turn, and in which lane."""

    def wake(self, owner: OwnerId, lane: Lane) -> int:
        """Give the turns that are left to the owner's runs that wait; how many. Every end does so; this is for the end that was lost."""

    def unopened(self, sources: Sequence[tuple[OwnerId, SourceId]]) -> list[tuple[OwnerId, SourceId]]:
        """Of these, those of which no run is open here. Some hundreds at once."""

    def begin_scan(self, token: str) -> None:
        """The inbox is being looked through from now on, by whoever has the token."""

    def end_scan(self, token: str) -> None:
        """It was looked through: what is open is open here. Changes nothing when the ledger was wiped since, or another scan has begun."""

    def is_whole(self) -> bool:
        """Whether the inbox was looked through since the ledger was empty: what is not known here is then not open."""

    def forget(self, owner: OwnerId, source: SourceId) -> None:
        """Drop the source's record and timeline (it was deleted)."""

    def lead(self, name: str, *, seconds: int) -> bool:
        """Be, or stay, the leader among all reconcilers for so long. `name` is this process."""

    def ping(self) -> None:
        """Raises Unavailable when Redis does not answer, or takes no writes: full, a replica, or its disk is."""


class Channels(Protocol):
    """Channels as the API sees them (asynchronous)."""

    async def register(self, owner: OwnerId, channel: ChannelId, *, explicit: bool, keep_open: bool | None = None, expect: int | None = None) -> Registration:
        """Open the channel, unless its bare name is another's (then nothing changes).

        A later explicit one (POST …/ws) moves the mark to what readers were told, and counts anew unless it only comes back (docs/adr/0013).
        """

    async def restore(self, owner: OwnerId, channel: ChannelId) -> None:
        """Give the bare name back to whom the store says it belongs, and open the channel."""

    async def reopen(self, owner: OwnerId, channel: ChannelId) -> None:
        """Open the owner's channel, whoever has the bare name; the name too, when nobody has it."""

    async def is_whole(self) -> bool:
        """As Ledger.is_whole: no bare name of an open source is missing here."""

    async def resolve(self, channel: ChannelId) -> OwnerId | None:
        """The owner of the bare name, or None."""

    async def put_ticket(self, ticket: str, owner: OwnerId, channel: ChannelId, *, seconds: int) -> None:
        """Keep (the hash of) a ticket to the owner's channel for so long. Repeated: changes nothing."""

    async def take_ticket(self, ticket: str) -> tuple[OwnerId, ChannelId] | None:
        """Whose channel the ticket opens, to one of all who ask; None to the others, and when it is too old or was never given.

        A repetition by the client library loses the ticket, and never uses it twice.
        """

    async def receiving(self, owner: OwnerId, channel: ChannelId, upload: UploadId, *, seconds: int) -> None:
        """Hold the channel open for so long: an upload to it is under way. 0 seconds: it is over."""

    async def receipt(self, owner: OwnerId, channel: ChannelId, event: SourceReceiving) -> None:
        """Tell whoever listens how much of an upload has come. Kept nowhere."""

    async def is_open(self, owner: OwnerId, channel: ChannelId) -> bool:
        """Whether the channel is registered, at half of the cost of `state`."""

    async def state(self, owner: OwnerId, channel: ChannelId) -> ChannelState | None:
        """None when the channel is not registered."""

    async def heads(self, channels: Sequence[tuple[OwnerId, ChannelId]]) -> Heads:
        """Where each channel stands. One round trip."""

    async def told(self, owner: OwnerId, channel: ChannelId, last: Position) -> None:
        """A reader that was served up to there has gone. Nothing is noted of a position that the channel does not have (any more)."""

    async def read(self, owner: OwnerId, channel: ChannelId, *, after: int, limit: int = 500) -> list[tuple[int, bytes]]:
        """Milestones > `after`, as (offset, JSON), in order."""

    async def sources(self, owner: OwnerId, channel: ChannelId) -> list[SourceId]:
        """Sources that milestones of the channel are about."""

    async def ends(self, owner: OwnerId, channel: ChannelId) -> set[tuple[SourceId, int]]:
        """Runs whose end is the last thing that the channel said of their source."""

    async def latest_progress(self, owner: OwnerId, channel: ChannelId) -> list[bytes]:
        """The latest progress of each open source of the channel, as LiveFeed has it behind its `p `."""


class AsyncLedger(Protocol):
    """The API's twin of Ledger, for the few calls that it needs; same names, same meaning."""

    async def accept(self, owner: OwnerId, record: InboxRecord, *, receiving: UploadId | None = None) -> bool: ...

    async def finish(self, owner: OwnerId, record: InboxRecord, event: Milestone, *, state: State) -> bool: ...

    async def record(self, owner: OwnerId, source: SourceId) -> LedgerRecord | None: ...

    async def timeline(self, owner: OwnerId, source: SourceId, run: int) -> list[Moment]: ...

    async def place(self, owner: OwnerId, source: SourceId) -> int | None:
        """About how many runs come before this one and with it; None when it does not wait, or is not known."""

    async def backlog(self, owner: OwnerId) -> int:
        """How many runs of the owner are open, with a turn or waiting for one. A few counters are read, however many they are."""

    async def forget(self, owner: OwnerId, source: SourceId) -> None: ...

    async def ping(self) -> None: ...


class LiveFeed(Protocol):
    """Messages as they are published, for the channels that this process watches: one connection, however many channels.

    A message is b"m <offset> <epoch> <json>" (milestone, batch), b"p <offset> <epoch> <json>" (progress, and where the milestones stood
    when it was said) or b"p <json>" (receiving).
    """

    def watch(self, owner: OwnerId, channel: ChannelId) -> Awaitable[None]:
        """Done when the subscription is acknowledged: what is published from now on arrives. Raises Unavailable.

        Called once for a channel, until that is done and `unwatch` was called. Many at once cost one round trip.
        """

    def unwatch(self, owner: OwnerId, channel: ChannelId) -> None:
        """May be followed by `watch` at once."""

    async def run(
        self,
        tell: Callable[[OwnerId, ChannelId, bytes], None],
        missed: Callable[[], None],
        watched: Callable[[], Iterable[tuple[OwnerId, ChannelId]]],
    ) -> None:
        """For as long as the process lives: calls `tell` with what arrives, and `missed` when anything may have been missed on any channel.

        From the moment when something may be missed until `missed` is called, nothing is told. `watched` answers the channels that were
        watched and not unwatched, so that nobody keeps them twice.
        """


# ------------------------------------------------------------------------------------------------ the rest


@dataclass(frozen=True, slots=True)
class Fetched:
    """A URL's answer, whose body is read by iterating `chunks`."""

    url: str
    """After redirects."""
    media_type: str | None
    filename: str | None
    """From Content-Disposition, else the last path segment; not cleaned."""
    size: int | None
    """What Content-Length promised."""
    chunks: Iterator[bytes] = field(repr=False)


class Fetcher(Protocol):
    """Gets a URL that a stranger named."""

    def fetch(self, url: str, *, max_bytes: int, check: Callable[[], None] = lambda: None) -> AbstractContextManager[Fetched]:
        """GET, with every address checked at connect, on every hop. `check` is called each second at least; what it raises ends the fetch.

        Raises ProcessingFailed: url_refused (scheme, port, address, userinfo), fetch_failed (anything the other side did),
        too_large (over `max_bytes`, by promise or in fact), timeout (the total deadline); also while chunks are taken.
        """


class Scanner(Protocol):
    """Looks for viruses."""

    def scan(self, path: Path, alive: Callable[[int], None]) -> str | None:
        """The name of what infects the file; None when it is clean. Never None without a verdict.

        `alive` is called several times a second with the bytes that were sent, and may raise to stop. Raises Unavailable without a
        verdict; ProcessingFailed for what will never get one: bomb (given up on), unscanned (longer than it takes).
        """


class RateLimits(Protocol):
    """How much was asked for, in sliding windows (asynchronous). Counted approximately: as if each window before had been even."""

    async def take(self, kind: Kind, whose: str, amount: int, *, cost: int = 1) -> Standing:
        """Count `cost` more, unless that would be over `amount` in the kind's window: then nothing is counted. Raises Unavailable."""

    async def spend(self, token: str, source: SourceId, *, most: int, seconds: int) -> bool:
        """Count the source as brought by the token, which may bring `most`; kept for so long. The same source again counts once. Raises Unavailable."""


class WebhookSender(Protocol):
    """Tells somebody outside."""

    def send(self, url: str, body: bytes, headers: dict[str, str], *, guarded: bool) -> None:
        """POST, until an answer of 2xx. `guarded`: the URL is a stranger's, and may lead to public addresses only. Raises ProcessingFailed."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The end of one run, for somebody outside."""

    owner: OwnerId
    result: RunResult

    @property
    def key(self) -> str:
        """The same however often this end is delivered, and no other end's: whoever has seen it has had it."""
        return f"{self.owner}/{self.result.source_uuid}/{self.result.run}"


class Deliverer(Protocol):
    """Takes committed ends out of the house, before the channel is told."""

    @property
    def name(self) -> str:
        """For the log."""

    def deliver(self, delivery: Delivery) -> None:
        """Called again when it raises or its process dies, so it may come twice. Bounds its own time; it is not waited for longer than Deliver's."""


class Keys(Protocol):
    """API keys."""

    def find(self, key: str) -> ApiKey | None:
        """What the key stands for, or None. Takes the same time for every wrong key."""


Clock = Callable[[], datetime]
"""The present, aware, in UTC."""
