"""Appends milestones through the ledger, as a worker does, each with its moment (nanoseconds) as its text. `python -m bench.publisher`, settings as a worker's.

Arguments: user, ws-uuid, count, pause in seconds.
"""

from __future__ import annotations

import sys
import time
import uuid

from app import wiring
from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.ledger import RedisLedger
from app.domain.events import SourceFailed, SourceProcessing
from app.domain.ids import ChannelId, SourceId, new_fence, new_upload, owner_id
from app.domain.lease import this_worker
from app.domain.source import InboxRecord, State
from app.settings import load


def main(user: str, channel: str, count: int, pause: float) -> None:
    settings = load()
    ledger = RedisLedger(BlockingCommands(wiring.redis(settings)), wiring.calls(settings))
    owner = owner_id("dev", user)
    source = SourceId(uuid.uuid4().hex)
    record = InboxRecord(source_uuid=source, ws_uuid=ChannelId(channel), upload=new_upload(), digest="", size=0, filename="a.txt", base_url="http://localhost")
    fence = new_fence()
    claim = ledger.claim(owner, record, fence=fence, worker=this_worker())
    assert claim.kind == "ok", claim
    for seq in range(1, count + 1):
        time.sleep(pause)
        event = SourceProcessing(source_uuid=source, run=1, message=str(time.time_ns()), type="file-upload", attempt=claim.attempt, progress=0)
        assert ledger.append(owner, record, event, fence=fence, attempt=claim.attempt, seq=seq, stage=None)
    end = SourceFailed(source_uuid=source, run=1, error="", type="file-upload", code="cancelled", retryable=False, attempt=claim.attempt)
    ledger.finish(owner, record, end, state=State.CANCELLED)
    ledger.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
