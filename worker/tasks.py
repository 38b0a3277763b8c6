"""The tasks that Celery runs. Each only reads its payload and calls the pipeline."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from app.domain.errors import Unavailable
from app.domain.ids import OwnerId, SourceId
from app.domain.jobs import PROCESS_SOURCE, ProcessSource
from worker.pipeline.run import process
from worker.runtime import parts

log = logging.getLogger(__name__)

TIMEOUTS = (SoftTimeLimitExceeded,)


@shared_task(name=PROCESS_SOURCE)
def process_source(**payload: object) -> None:
    """A hint that this source may have an open run. Which run, and all the rest, stands in its inbox record."""
    job = ProcessSource.model_validate(payload)
    try:
        process(parts(TIMEOUTS), OwnerId(job.owner), SourceId(job.source))
    except Unavailable as error:
        log.warning("source %s stays open: %s", job.source, error)
