"""Store: what was read out goes to the object store, under this attempt's fence."""

from __future__ import annotations

from app.domain.layout import artifact_key
from app.domain.results import Artifact
from app.domain.stages import Stage
from worker.pipeline.context import StageContext

_TEXT = "text/plain; charset=utf-8"


def run(context: StageContext) -> None:
    context.milestone("Uploading to S3...", Stage.STORE)
    found, record = context.found, context.record
    if found.processor is not None:
        body = found.extracted.text.encode("utf-8", "replace")
        key = artifact_key(context.owner, record.source_uuid, record.run, context.fence, "text.txt")
        found.artifacts["text"] = Artifact(key=key, size=len(body), media_type=_TEXT, filename=f"{found.filename}.txt")
        context.store.put(key, body, media_type=_TEXT)
