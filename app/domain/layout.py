"""Where everything lies in the object store. The keys are the protocol (docs/architecture.md): change them with an ADR.

    objects/<owner>/<upload>                     the bytes, where they stay
    inbox/<owner>~<source>                       accepted and not yet announced; create-only, so it is the claim on the id too
    sources/<owner>/<source>/runs/<n>/result.json            the commit of run n, create-only
    sources/<owner>/<source>/runs/<n>/<fence>/<artifact>     what an attempt made
    sources/<owner>/<source>/deleted             tombstone
    channels/<ws-uuid>/<owner>/<source>          who may hear what, after a wipe
    dead/<owner>/<source>                        perhaps a dead letter: the result of its latest run says so
    webhooks/<owner>~<source>~<run>~<target>     an end that somebody outside has yet to hear of; webhooks-dead/… is what we gave up
    headrace.json                                layout version and deployment
    sweep.json                                   where the daily sweep of what nobody needs is
    probe/<random>                               written to try the store out, and removed at once

`~` and `/` are outside the alphabet of ids (domain/ids.py), so every key reads back without doubt.
"""

from __future__ import annotations

from app.domain.ids import ChannelId, Fence, OwnerId, SourceId, UploadId

LAYOUT_VERSION = 1
DEPLOYMENT = "headrace.json"
SWEEP = "sweep.json"
INBOX = "inbox/"
OBJECTS = "objects/"
SOURCES = "sources/"
CHANNELS = "channels/"
DEAD = "dead/"
WEBHOOKS = "webhooks/"
WEBHOOKS_DEAD = "webhooks-dead/"
PROBE = "probe/"
"""What is written to try the store out, and removed at once."""

_ARTIFACT_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "webp": "image/webp",
}


def object_key(owner: OwnerId, upload: UploadId) -> str:
    return f"{OBJECTS}{owner}/{upload}"


def inbox_key(owner: OwnerId, source: SourceId) -> str:
    return f"{INBOX}{member(owner, source)}"


def member(owner: OwnerId, source: SourceId) -> str:
    """One source among all owners' as one word: the inbox's names and Redis' open index use it."""
    return f"{owner}~{source}"


def split_member(name: str) -> tuple[OwnerId, SourceId]:
    """The reverse of `member`. Raises ValueError on a name that is not one."""
    owner, tilde, source = name.partition("~")
    if not tilde or not owner or not source:
        raise ValueError(name)
    return OwnerId(owner), SourceId(source)


def sources_prefix(owner: OwnerId) -> str:
    return f"{SOURCES}{owner}/"


def source_prefix(owner: OwnerId, source: SourceId) -> str:
    return f"{SOURCES}{owner}/{source}/"


def runs_prefix(owner: OwnerId, source: SourceId) -> str:
    return f"{source_prefix(owner, source)}runs/"


def result_key(owner: OwnerId, source: SourceId, run: int) -> str:
    return f"{runs_prefix(owner, source)}{run}/result.json"


def artifact_key(owner: OwnerId, source: SourceId, run: int, fence: Fence, name: str) -> str:
    return f"{runs_prefix(owner, source)}{run}/{fence}/{name}"


def artifact_type(name: str) -> str:
    """The media type of what an attempt makes, by the ending of its name or key; `application/json` for what has no other, as results have."""
    return _ARTIFACT_TYPES.get(name.rpartition(".")[2], "application/json")


def artifact_run(key: str) -> int | None:
    """The run of a key that `artifact_key` made: seven parts. None for any other key of a source."""
    parts = key.split("/")
    return int(parts[4]) if len(parts) == 7 else None


def tombstone_key(owner: OwnerId, source: SourceId) -> str:
    return f"{source_prefix(owner, source)}deleted"


def dead_prefix(owner: OwnerId) -> str:
    return f"{DEAD}{owner}/"


def dead_key(owner: OwnerId, source: SourceId) -> str:
    return f"{dead_prefix(owner)}{source}"


def channel_prefix(channel: ChannelId) -> str:
    return f"{CHANNELS}{channel}/"


def marker_prefix(channel: ChannelId, owner: OwnerId) -> str:
    return f"{channel_prefix(channel)}{owner}/"


def marker_key(channel: ChannelId, owner: OwnerId, source: SourceId) -> str:
    return f"{marker_prefix(channel, owner)}{source}"
