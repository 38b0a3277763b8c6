"""What the API asks of the fleet: name, lanes and payload of each job. Arguments are ids only: a message is a hint, never the truth."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from app.domain import media
from app.domain.ids import OwnerId, SourceId
from app.domain.policy import MIB
from app.domain.source import InboxRecord
from app.domain.wire import Stored

PROCESS_SOURCE = "headrace.process_source"


class Lane(StrEnum):
    """How long a run is likely to take. Each lane is a Celery queue, so that what is over in a moment does not wait behind what takes minutes."""

    FAST = "fast"
    """A second at most."""
    SLOW = "slow"
    """Seconds: a document to be read, a URL to be fetched."""
    BULK = "bulk"
    """Perhaps minutes."""

    @property
    def queue(self) -> str:
        return f"headrace.{self}"


QUEUES: Final = tuple(lane.queue for lane in Lane)

_FAST_TEXT_BYTES: Final = MIB
_FAST_BYTES: Final = 256 * 1024
"""Of what has to be parsed: a dozen pages of PDF, a photo of a phone has more."""
_BULK_BYTES: Final = 64 * MIB


def lane_of(record: InboxRecord) -> Lane:
    """By size and by what it claims to be. A claim that is wrong costs its owner time, and nobody else: each lane gives each owner a turn."""
    if record.size is None:
        return Lane.SLOW
    if record.size > _BULK_BYTES:
        return Lane.BULK
    claimed = media.suggested(record.filename) or record.declared_type or media.UNKNOWN
    return Lane.FAST if record.size <= (_FAST_TEXT_BYTES if media.is_text(claimed) else _FAST_BYTES) else Lane.SLOW


class ProcessSource(Stored):
    """Process this run of this source. Everything else is read from its inbox record."""

    schema_: Literal[1] = 1
    owner: OwnerId
    source: SourceId
    run: int
