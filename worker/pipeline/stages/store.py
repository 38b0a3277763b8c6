"""Store: what was read out goes to the object store, under this attempt's fence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.domain.layout import artifact_key, artifact_type
from app.domain.policy import PART_BYTES
from app.domain.results import Artifact
from app.domain.stages import Stage
from app.ports import ObjectStore
from headrace_plugin import CHUNKS, EMBEDDINGS, MARKDOWN, PAGES, TEXT, THUMBNAIL
from worker.pipeline.context import StageContext

# File -> artifact, what is put behind the name of the source.
MADE: Final = {
    TEXT: ("text", ".txt"),
    PAGES: ("pages", ".pages.jsonl"),
    MARKDOWN: ("markdown", ".md"),
    CHUNKS: ("chunks", ".chunks.jsonl"),
    EMBEDDINGS: ("embeddings", ".embeddings.jsonl"),
    THUMBNAIL: ("thumbnail", ".webp"),
}
_READ: Final = (TEXT, PAGES, MARKDOWN)


class Store:
    stage = Stage.STORE

    def run(self, context: StageContext) -> None:
        context.milestone("Uploading to S3...", Stage.STORE)
        found, record = context.found, context.record
        files = [name for name in found.answer.files if name in _READ]
        files += [CHUNKS] if found.chunks is not None else []
        files += [EMBEDDINGS] if found.embedded else []
        files += [THUMBNAIL] if found.thumbnail else []
        for number, file in enumerate(files, 1):
            name, suffix = MADE[file]
            path = context.made / file
            media_type = artifact_type(file)
            key = artifact_key(context.owner, record.source_uuid, record.run, context.fence, file)
            found.artifacts[name] = Artifact(key=key, size=path.stat().st_size, media_type=media_type, filename=f"{found.filename}{suffix}")
            _put(context.store, key, path, media_type)
            context.progress(Stage.STORE, "Uploading to S3...", number, len(files), "files")


def _put(store: ObjectStore, key: str, path: Path, media_type: str) -> None:
    """A file into the store, with a part of it in memory at a time."""
    with path.open("rb") as file:
        first = file.read(PART_BYTES)
        following = file.read(PART_BYTES)
        if not following:
            store.put(key, first, media_type=media_type)
            return
        transfer = store.start(key, part_bytes=PART_BYTES, media_type=media_type)
        try:
            number, part = 1, first
            while part:
                transfer.put_part(number, part)
                number, part, following = number + 1, following, file.read(PART_BYTES)
            transfer.complete()
        except BaseException:
            transfer.abort()
            raise
