"""The names of everything in Redis. All begin with the deployment's prefix, so that strangers on the same server never meet.

A source is one word, `<owner>~<source>` (domain/layout.member); so is a channel, `<owner>~<ws-uuid>`.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import ChannelId, OwnerId, SourceId
from app.domain.jobs import Lane
from app.domain.layout import member


@dataclass(frozen=True, slots=True)
class Keyspace:
    prefix: str

    def source(self, owner: OwnerId, source: SourceId) -> str:
        return f"{self.sources}{member(owner, source)}"

    @property
    def sources(self) -> str:
        return f"{self.prefix}source:"

    def timeline(self, owner: OwnerId, source: SourceId) -> str:
        return f"{self.prefix}timeline:{member(owner, source)}"

    @property
    def open(self) -> str:
        return f"{self.prefix}open"

    @property
    def running(self) -> str:
        return f"{self.prefix}running"

    def turns(self, owner: OwnerId, lane: Lane) -> str:
        return f"{self.prefix}turns:{owner}~{lane}"

    def waiting(self, owner: OwnerId, lane: Lane) -> str:
        return f"{self.prefix}waiting:{owner}~{lane}"

    @property
    def queueing(self) -> str:
        return f"{self.prefix}queueing"

    @property
    def sent(self) -> str:
        return f"{self.prefix}sent"

    @property
    def scan(self) -> str:
        return f"{self.prefix}scan"

    @property
    def leader(self) -> str:
        return f"{self.prefix}leader"

    @property
    def fleet(self) -> str:
        return f"{self.prefix}fleet"

    @property
    def ping(self) -> str:
        return f"{self.prefix}ping"

    def alias(self, channel: ChannelId) -> str:
        return f"{self.prefix}alias:{channel}"

    def ticket(self, ticket: str) -> str:
        return f"{self.prefix}ticket:{ticket}"

    def quota(self, whose: str, kind: str) -> str:
        return f"{self.prefix}quota:{whose}~{kind}"

    def token(self, token: str) -> str:
        return f"{self.prefix}token:{token}"

    def channel(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self.prefix}channel:{owner}~{channel}"

    def stream(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self.prefix}events:{owner}~{channel}"

    def live(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self._live}{owner}~{channel}"

    def from_live(self, name: str) -> tuple[OwnerId, ChannelId]:
        owner, _, channel = name.removeprefix(self._live).partition("~")
        return OwnerId(owner), ChannelId(channel)

    @property
    def _live(self) -> str:
        return f"{self.prefix}live:"

    def busy(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self.prefix}busy:{owner}~{channel}"

    def receiving(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self.prefix}receiving:{owner}~{channel}"

    def progress(self, owner: OwnerId, channel: ChannelId) -> str:
        return f"{self.prefix}progress:{owner}~{channel}"

    def queue(self, name: str) -> str:
        """Where kombu keeps the queue, given its option global_keyprefix."""
        return f"{self.prefix}{name}"
