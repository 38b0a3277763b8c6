"""Sound and film: length, size and tags, as ffprobe tells them where the system has it. Nothing is decoded."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, Final

from worker.processors.base import BuiltIn, Extracted, Failed, Reading
from worker.processors.blocks import line

ffprobe: str | None = shutil.which("ffprobe")
"""Looked for once, when the worker starts."""

_ASKED: Final = ("-v", "error", "-hide_banner", "-protocol_whitelist", "file", "-show_format", "-show_streams", "-of", "json")
_SAYS: Final = {
    "title": "title", "artist": "author", "album": "album", "date": "created_at", "creation_time": "created_at", "genre": "genre", "comment": "description",
    "encoder": "producer",
}  # fmt: skip
_STREAM: Final = ("codec_type", "codec_name", "width", "height", "sample_rate", "channels", "avg_frame_rate", "bit_rate")
_STREAMS: Final = 32
_SAID_LIMIT_CHARACTERS: Final = 1000
_ANSWER_BYTES: Final = 4 * 1024 * 1024


class RecordingProcessor(BuiltIn):
    name = "recording"
    media_types: tuple[str, ...] = ("audio/*", "video/*")

    def process(self, reading: Reading) -> Extracted:
        if ffprobe is None:
            reading.warn("not_probed", "Length and size are unknown: this worker has no ffprobe")
            return Extracted()
        command = [ffprobe, *_ASKED, f"file:{reading.path}"]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=reading.limits.wall_seconds)
        try:
            answer = json.loads(done.stdout[:_ANSWER_BYTES] or b"{}")
        except ValueError as error:
            raise Failed("malformed", "ffprobe answers no JSON") from error
        if done.returncode != 0 or not answer.get("streams"):
            raise Failed("malformed", done.stderr.decode("utf-8", "replace")[-_SAID_LIMIT_CHARACTERS:])
        return _extracted(answer)


def _extracted(answer: dict[str, Any]) -> Extracted:
    container, streams = answer.get("format", {}), answer["streams"]
    picture: dict[str, Any] = next((stream for stream in streams if stream.get("codec_type") == "video" and not _is_cover(stream)), {})
    tags = {key.lower(): text for stream in (*streams[:1], container) for key, text in stream.get("tags", {}).items()}
    said: dict[str, str] = {}
    for tag, name in _SAYS.items():
        if text := line(str(tags.get(tag, "")))[:_SAID_LIMIT_CHARACTERS]:
            said.setdefault(name, text)
    return Extracted(
        width=picture.get("width"),
        height=picture.get("height"),
        duration_seconds=_seconds(container.get("duration")) or _seconds(picture.get("duration")),
        document=said,
        details={
            "container": str(container.get("format_name", "")),
            "streams": [{key: stream[key] for key in _STREAM if key in stream} for stream in streams[:_STREAMS]],
        },
    )


def _is_cover(stream: dict[str, Any]) -> bool:
    """The picture of a record's sleeve is a film of one frame."""
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _seconds(text: object) -> float | None:
    try:
        seconds = float(str(text))
    except ValueError:
        return None
    return round(seconds, 3) if 0 <= seconds < 1e9 else None
