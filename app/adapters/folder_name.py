"""How a key becomes a place in a folder, and back.

    inbox/ABC~x                    inbox/abc~x,7=              an entry ends in `=`; case is lowered and kept as a bit mask after a comma
    objects/<owner>/3f09…          objects/<owner>/+3/3f09…=   a shard begins with `+`

So `a` and `a/b` live side by side, no two keys meet on a file system that ignores case, and a segment of 161 characters needs
205 bytes at most. The characters `+ , =` are outside the alphabet of keys. Shards hold the names of one first character, thus
they follow one another in the order of the names. A body is named `=<random>,<media type>`. Changing any of this strands what is stored: LAYOUT_VERSION.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

from app.adapters.object_key import checked_key, checked_type
from app.domain.layout import CHANNELS, DEAD, OBJECTS, SOURCES, artifact_type

ENTRY = "="
BODY = "="
SHARD = "+"
_NAME_LIMIT = 255
# All that a media type may hold but `/` and `%`: so it stays readable, and below 255 bytes.
_PLAIN = " !\"#$&'()*+,:;<=>?@[\\]^`{|}"
# Where very many names may lie beside one another: the number of segments above them. Not the inbox: it is short, and hot.
_SHARDED = {OBJECTS.rstrip("/"): 2, SOURCES.rstrip("/"): 2, CHANNELS.rstrip("/"): 1}


def encode(segment: str) -> str:
    lowered = segment.lower()
    if lowered == segment:
        return segment
    mask = sum(1 << at for at, (one, low) in enumerate(zip(segment, lowered, strict=True)) if one != low)
    return f"{lowered},{mask:x}"


def decode(name: str) -> str | None:
    """The reverse of `encode`; None for a name that it never makes (a stranger's file)."""
    lowered, comma, digits = name.partition(",")
    if not comma:
        return name if name == name.lower() else None
    try:
        mask = int(digits, 16)
    except ValueError:
        return None
    segment = "".join(one.upper() if mask >> at & 1 else one for at, one in enumerate(lowered))
    return segment if encode(segment) == name else None


def folder_of(root: Path, segments: list[str]) -> Path:
    """The folder of what lies below these segments, shards apart."""
    sharded = _SHARDED.get(segments[0]) if segments else None
    parts: list[str] = []
    for depth, segment in enumerate(segments):
        if depth == sharded:
            parts.append(shard(segment))
        parts.append(encode(segment))
    return root.joinpath(*parts)


def place_of(root: Path, key: str) -> Path:
    """The entry of an object. Raises ValueError on what is no key, or too long for a file name."""
    segments = checked_key(key).split("/")
    last = encode(segments[-1]) + ENTRY
    folder = folder_of(root, segments[:-1])
    if _SHARDED.get(segments[0]) == len(segments) - 1:
        folder /= shard(segments[-1])
    if len(last) > _NAME_LIMIT or any(len(encode(segment)) > _NAME_LIMIT for segment in segments[:-1]):
        raise ValueError(f"a segment is too long: {key!r}")
    return folder / last


def shard(segment: str) -> str:
    return SHARD + encode(segment[0])


def usual_type(key: str) -> str:
    """The media type of an object whose file does not name one."""
    if key.startswith((OBJECTS, CHANNELS, DEAD)):
        return "application/octet-stream"
    return artifact_type(key) if key.startswith(SOURCES) else "application/json"


def suffix_of(key: str, media_type: str) -> str:
    """What the file's name says of the type; empty when it is the usual one."""
    return "" if checked_type(media_type) == usual_type(key) else "," + quote(media_type, safe=_PLAIN)


def type_of(key: str, file: str) -> str:
    """The media type of an object, by the name of its file: the entry, or a body."""
    return unquote(file.partition(",")[2]) if is_body(file) else usual_type(key)


def is_body(file: str) -> bool:
    return file.startswith(BODY) and "," in file
