"""Profiles: named policies for uploads. A key's organisation, a token or the upload itself names one; `default` always exists."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = "default"
MEDIA_RANGE = r"^[a-z0-9!#$&^_.+-]{1,63}/([a-z0-9!#$&^_.+-]{1,63}|\*)$"
"""A media type, or a family of them (`image/*`)."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told of the end of each source of the profile. The operator's own: it may be a private address, and plain http."""

    url: str
    secret: str
    """What signs the messages: `whsec_` and base64."""
    before_client: bool = False
    """It is told before the channel is, if it answers in time."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Nothing set: no limit beside those of the deployment."""

    max_bytes: int | None = None
    types: tuple[str, ...] = ()
    """Media types that are taken, `image/*` for a family."""
    webhook: Webhook | None = None
    chunks: bool | None = None
    """Whether the text is cut into chunks; None: as the deployment does."""


def takes(types: tuple[str, ...], media_type: str) -> bool:
    """Whether a list of media types has this one; an empty list has all."""
    family = media_type.partition("/")[0] + "/*"
    return not types or media_type in types or family in types or "*/*" in types


def both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """What passes two lists. Where nothing does, a list that has nothing rather than an empty one, which has all."""
    if not one or not other:
        return one or other
    common = tuple(sorted({kind for kind in one if takes(other, kind)} | {kind for kind in other if takes(one, kind)}))
    return common or ("none/none",)
