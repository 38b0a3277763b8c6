"""The steps of a run, in order, and what share of the whole each one is."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    FETCH = "fetch"
    GUARD = "guard"
    SNIFF = "sniff"
    SCAN = "scan"
    CHECKSUM = "checksum"
    EXTRACT = "extract"
    THUMBNAIL = "thumbnail"
    CHUNK = "chunk"
    EMBED = "embed"
    STORE = "store"


# Percent of the whole run that is done when the stage begins. Measured shares would differ by document; what clients
# need is a bar that moves and never goes back.
BEGINS_AT: dict[Stage, int] = {
    Stage.FETCH: 0, Stage.GUARD: 36, Stage.SNIFF: 38, Stage.SCAN: 40, Stage.CHECKSUM: 45, Stage.EXTRACT: 55, Stage.THUMBNAIL: 80, Stage.CHUNK: 81,
    Stage.EMBED: 82, Stage.STORE: 90,
}  # fmt: skip
_ENDS_AT = dict(zip(BEGINS_AT, [*list(BEGINS_AT.values())[1:], 100], strict=True))


def overall(stage: Stage, stage_percent: int) -> int:
    """Progress over the whole run (0-100) when `stage_percent` (0-100, clamped) of the stage is done."""
    begin, end = BEGINS_AT[stage], _ENDS_AT[stage]
    return begin + (end - begin) * max(0, min(100, stage_percent)) // 100
