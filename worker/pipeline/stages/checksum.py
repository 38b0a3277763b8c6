"""Checksum: SHA-256 of the bytes, as the world knows it."""

from __future__ import annotations

import hashlib

from app.domain.stages import Stage
from worker.pipeline.context import StageContext

_CHUNK_BYTES = 1024 * 1024


class Checksum:
    stage = Stage.CHECKSUM

    def run(self, context: StageContext) -> None:
        found = context.found
        digest = hashlib.sha256()
        done = 0
        with found.file.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                context.progress(Stage.CHECKSUM, "Computing the checksum", done, found.size, "bytes")
        found.sha256 = digest.hexdigest()
