"""The ids of an owner's sources, by pages, in one order: that of the folders in `sources/`, byte by byte with a `/` at the end (docs/adr/0007).

What has ended lies there, what is open lies in the inbox under names without that `/`. So `a` comes before `a-b` in the inbox and after it here: among
names of which one begins with the other the two orders differ, and only there.
"""

from __future__ import annotations

from app.domain.ids import OwnerId, SourceId
from app.domain.layout import member, sources_prefix
from app.ports import ObjectStore
from app.protocol import inbox

_BEFORE_SLASH = frozenset("-.")
"""The characters of ids that are less than `/`."""


def ids(store: ObjectStore, owner: OwnerId, *, after: str, limit: int) -> list[SourceId]:
    """Up to `limit` ids that come after the id `after`: of what ended, what is open, and what was deleted and is remembered.

    The inbox is looked at first: a source that ends meanwhile leaves it, and has its folder by then. Whatever is there all the time is on exactly one
    page. Costs a listing of each, and a look for each `-` and `.` in `after`.
    """
    opened = _open(store, owner, after, limit)
    ended = [name.removesuffix("/") for name in store.names(sources_prefix(owner), after=_folder(after), limit=limit)]
    return [SourceId(name) for name in sorted({*opened, *ended}, key=_folder)[:limit]]


def _folder(name: str) -> str:
    """What the order goes by. Nothing comes before the first."""
    return f"{name}/" if name else ""


def _open(store: ObjectStore, owner: OwnerId, after: str, limit: int) -> list[str]:
    """At least the first `limit` open ones after `after`, in no order; all of them when there are fewer."""
    # What `after` begins with was passed in the inbox's order, and is yet to come in ours.
    shorter = [after[:at] for at, character in enumerate(after) if at and character in _BEFORE_SLASH]
    found = [name for name in shorter if inbox.is_open(store, owner, SourceId(name))]
    at = member(owner, SourceId(after)) if after else f"{owner}~"
    sure = 0
    while sure < limit and (page := inbox.page(store, after=at, limit=min(1000, limit + 1))):
        at = page[-1]
        names = [name.partition("~")[::2] for name in page]
        found += [source for whose, source in names if whose == owner and _folder(source) > _folder(after)]
        if names[-1][0] != owner:
            break
        # Names that the last one begins with may have others before them that were not read yet.
        sure = sum(not names[-1][1].startswith(name) for name in found)
    return found
