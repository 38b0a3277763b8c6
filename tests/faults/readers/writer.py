"""The writer: sources on all channels, one after the other on each, as workers do them. What Redis forgets is done again, as a worker or the reconciler would."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from app.adapters.folder import FolderObjectStore
from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.calls import Calls, Terms
from app.adapters.redis.client import RedisLocation
from app.adapters.redis.keys import Keyspace
from app.adapters.redis.ledger import RedisLedger
from app.domain.errors import Unavailable
from app.domain.events import SourceProcessing, SourceProgress
from app.domain.ids import ChannelId, OwnerId, SourceId, new_fence, new_upload, owner_id
from app.domain.layout import marker_key
from app.domain.results import RunResult, acceptance, carried, failed
from app.domain.source import InboxRecord, State
from app.domain.stages import Stage
from app.protocol import inbox
from app.protocol.announce import Announcer
from app.protocol.commit import commit
from tests.faults.readers.stage import PREFIX, SECRET

OWNER: OwnerId = owner_id("dev", "chaos")
_WORKER = "one"
_ATTEMPTS = 1000
_TURNS = 1000
"""All channels are one owner's, and none of its sources waits for another."""
T = TypeVar("T")


class Writer:
    """Of some channels; a thread of its own calls `write`."""

    def __init__(self, folder: Path, redis_url: str, channels: list[ChannelId], seed: int) -> None:
        self._random = random.Random(seed)
        self._store = FolderObjectStore(folder / "store")
        self.ledger = RedisLedger(BlockingCommands(RedisLocation(redis_url)), Calls(Keyspace(PREFIX), Terms(attempts=_ATTEMPTS, turns=_TURNS)))
        self._announcer = Announcer([SECRET], timedelta(days=1), lambda: datetime.now(UTC))
        self._channels = channels
        self.ended: dict[ChannelId, dict[SourceId, RunResult]] = {channel: {} for channel in channels}

    def write(self, seconds: float, each_second: float) -> None:
        """So many steps a second, for so long; then every source is brought to its end."""
        stories = [self._story(channel) for channel in self._channels]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            next(self._random.choice(stories))
            time.sleep(self._random.expovariate(each_second))
        self._stopping = True
        for story in stories:
            for _ in story:
                pass
        self._settle()

    _stopping = False

    def _surely(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except Unavailable:
                time.sleep(0.05)

    def _story(self, channel: ChannelId) -> Iterator[None]:
        while True:
            yield from self._source(InboxRecord(
                source_uuid=SourceId(str(uuid.uuid4())), run=1, ws_uuid=channel, upload=new_upload(), digest="d", size=1, filename="f", base_url="http://h",
            ))  # fmt: skip
            if self._stopping:
                return

    def _source(self, run: InboxRecord) -> Iterator[None]:
        inbox.create(self._store, OWNER, run)
        steps = self._random.randint(3, 40)
        done = 0
        while done < steps:
            self._surely(lambda: self.ledger.accept(OWNER, run))
            fence = new_fence()
            claim = self._surely(lambda fence=fence: self.ledger.claim(OWNER, run, fence=fence, worker=_WORKER, dead_worker=_WORKER))
            assert claim.kind == "ok", claim
            seq = 0
            while done < steps:
                yield
                seq += 1
                percent = max(claim.progress, 100 * done // steps)
                common = {"source_uuid": run.source_uuid, "run": run.run, "type": run.kind, "attempt": claim.attempt, "progress": percent}
                shown = SourceProgress(**common, message="reading", stage="extract", stage_progress=0)
                self._surely(lambda shown=shown, fence=fence: self.ledger.progress(OWNER, run, shown, fence=fence))
                said = SourceProcessing(**common, message=f"step {done}", stage="extract")
                told = self._surely(
                    lambda said=said, fence=fence, seq=seq, attempt=claim.attempt: self.ledger.append(
                        OWNER, run, said, fence=fence, attempt=attempt, seq=seq, stage=Stage.EXTRACT
                    )
                )
                if not told and not self._surely(
                    lambda fence=fence, attempt=claim.attempt: self.ledger.beat(OWNER, run, fence=fence, worker=_WORKER, attempt=attempt)
                ):
                    break  # Redis does not know any more that the run is ours
                done += 1
        self._end(run, claim.attempt)
        yield

    def _end(self, run: InboxRecord, attempt: int) -> None:
        fence = new_fence()
        if self._random.random() < 0.2:
            result = failed(OWNER, run, "malformed", fence=fence, attempt=attempt)
        else:
            result = RunResult(**carried(run), fence=fence, state=State.SUCCEEDED, attempt=attempt)
        self._store.put(marker_key(run.ws_uuid, OWNER, run.source_uuid), b"")
        commit(self._store, OWNER, acceptance(result), result)
        self._surely(lambda: self.ledger.finish(OWNER, run, self._announcer.ended(OWNER, result), state=result.state))
        inbox.remove(self._store, OWNER, run)
        self.ended[run.ws_uuid][run.source_uuid] = result

    def _settle(self) -> None:
        """As a worker does with a run that Redis has open and that has no inbox record (worker.pipeline.run.settle)."""
        for channel, ended in self.ended.items():
            for source, result in ended.items():
                live = self._surely(lambda source=source: self.ledger.record(OWNER, source))
                if live is not None and not live.state.is_terminal:
                    run = InboxRecord(source_uuid=source, run=1, ws_uuid=channel, upload=new_upload(), digest="d", size=1, filename="f", base_url="http://h")
                    self._surely(lambda run=run, result=result: self.ledger.finish(OWNER, run, self._announcer.ended(OWNER, result), state=result.state))
