"""What every store takes for a key, a prefix, a media type and a page: the same rules, so that all adapters refuse the same things.

Keys come from domain/layout.py and never from a client, so a wrong one is a fault of ours: ValueError.
"""

from __future__ import annotations

import re

_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_PREFIX = re.compile(rf"(?:{_SEGMENT}/)*", re.ASCII)
# One slash only, printable, and short: the folder keeps it in a file name.
_MEDIA_TYPE = re.compile(r"[!-.0-~]+/[ -.0-~]+", re.ASCII)
_KEY_LIMIT = 1024
_MEDIA_TYPE_LIMIT = 127
_PAGE_LIMIT = 1000


def checked_key(key: str) -> str:
    if len(key) > _KEY_LIMIT or not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """Empty, which is the whole store, or segments that each end in `/`."""
    if len(prefix) > _KEY_LIMIT or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not a prefix: {prefix!r}")
    return prefix


def checked_type(media_type: str) -> str:
    if len(media_type) > _MEDIA_TYPE_LIMIT or not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError(f"not a media type that a store keeps: {media_type!r}")
    return media_type


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= _PAGE_LIMIT:
        raise ValueError(f"not the size of a page: {limit}")
    return limit
