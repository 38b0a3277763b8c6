"""The tasks that Celery runs. Each only reads its payload and calls the pipeline."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from app.domain.errors import Newer, Unavailable
from app.domain.ids import OwnerId, SourceId
from app.domain.jobs import PROCESS_SOURCE, ProcessSource
from worker.pipeline.run import process
from worker.runtime import parts

log = logging.getLogger(__name__)

TIMEOUTS = (SoftTimeLimitExceeded,)
DEFER_SECONDS = 30
"""How long what only a later version can read waits for one. A rollout takes minutes, and each try costs a request or two."""


@shared_task(name=PROCESS_SOURCE)
def process_source(**payload: object) -> None:
    """A hint that this source may have an open run. Which run, and all the rest, stands in its inbox record."""
    try:
        ours = parts(TIMEOUTS)
        try:
            job = ProcessSource.of(payload)
            process(ours, OwnerId(job.owner), SourceId(job.source))
        except Newer as error:
            log.warning("source %s is left to another worker: %s", payload["source"], error)
            # Every version of the payload names them; the rest may be for later versions.
            ours.ledger.defer(OwnerId(str(payload["owner"])), SourceId(str(payload["source"])), seconds=DEFER_SECONDS)
    except Unavailable as error:  # then it is due by its grace
        log.warning("source %s stays open: %s", payload.get("source"), error)
