"""Scan: is it infected? Only where there is a scanner; without its verdict nothing goes on."""

from __future__ import annotations

import logging

from app.domain.errors import ProcessingFailed
from app.domain.stages import Stage
from app.ports import Scanner
from worker.pipeline.context import StageContext

log = logging.getLogger(__name__)

_MESSAGE = "Scanning for viruses"


class Scan:
    stage = Stage.SCAN

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    def run(self, context: StageContext) -> None:
        """Raises ProcessingFailed: infected, and what a Scanner raises; Unavailable when the scanner is away."""
        found = context.found
        context.milestone(_MESSAGE, Stage.SCAN)
        virus = self._scanner.scan(found.file, lambda done: context.progress(Stage.SCAN, _MESSAGE, done, found.size, "bytes"))
        if virus is not None:
            log.warning("source %s is infected: %s", context.record.source_uuid, virus)
            raise ProcessingFailed("infected", virus)
