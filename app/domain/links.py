"""Signed links: a URL of ours that names one artifact of one run, for so long, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import HeadraceError, NotFound
from app.domain.ids import OwnerId, SourceId
from app.domain.signature import seal, unseal

_PURPOSE = "link"


class LinkExpired(HeadraceError):
    """The link was ours, and its time is over. `fields` name the source, so that the answer can say where to get a new one."""

    status = 410
    code = "link_expired"


@dataclass(frozen=True, slots=True)
class Target:
    owner: OwnerId
    source: SourceId
    run: int
    artifact: str


def sign(secret: str, target: Target, expires: datetime) -> str:
    return seal(secret, _PURPOSE, [target.owner, target.source, target.run, target.artifact, int(expires.timestamp())])


def verify(secrets: Sequence[str], token: str, now: datetime) -> Target:
    """What the link names. Raises NotFound for one that we did not sign, LinkExpired (410) for an old one."""
    content = unseal(secrets, _PURPOSE, token)
    if content is None:
        raise NotFound(detail="no such link")
    owner, source, run, artifact, expires = content
    if expires < now.timestamp():
        raise LinkExpired(detail="this link has expired; ask for the source to get a new one", source=source)
    return Target(owner, source, run, artifact)
