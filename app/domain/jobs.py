"""What the API asks of the fleet: name, queue and payload of each job. Arguments are ids only: a message is a hint, never the truth."""

from __future__ import annotations

from typing import Literal

from app.domain.ids import OwnerId, SourceId
from app.domain.wire import Stored

PROCESS_SOURCE = "headrace.process_source"
PROCESS_QUEUE = "headrace.process"

QUEUES = {PROCESS_SOURCE: PROCESS_QUEUE}
"""Job name -> queue. Celery's routes are made from it (celeryconfig.py)."""


class ProcessSource(Stored):
    """Process this run of this source. Everything else is read from its inbox record."""

    schema_: Literal[1] = 1
    owner: OwnerId
    source: SourceId
    run: int
