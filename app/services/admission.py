"""Admission: what opens a channel's socket, and whose channel it then is.

    an API key and user     the owner's own channel; a wrong key is refused, whatever else was sent
    the token of ws-address the channel of whom it was given to, whoever has the bare name
    nothing                 the bare name's owner, when the name is a random UUID (or HEADRACE_WS_TICKETS=off)

With HEADRACE_WS_TICKETS=required the token is a ticket: good once, for a minute, and there is no bare name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.domain.errors import Forbidden
from app.domain.identity import Scope
from app.domain.ids import ChannelId, OwnerId, is_random_uuid
from app.domain.tokens import TICKET_SECONDS, Tickets, holder, issue, new_ticket, ticket_hash
from app.ports import Channels, Clock
from app.services.access import Access

_HOW = "connect to the ws-address that POST /public/sources/ws answers, or send X-API-Key and X-User-ID"


@dataclass(frozen=True, slots=True)
class Admitted:
    """To the owner's channel of that name, if there is one."""

    owner: OwnerId
    is_registered: bool = False
    """There is, or was: open it again where Redis has lost it (`Access.own`)."""


@dataclass(frozen=True, slots=True)
class Admission:
    access: Access
    channels: Channels
    secrets: Sequence[str]
    clock: Clock
    token_seconds: int
    tickets: Tickets = "auto"

    async def token(self, owner: OwnerId, channel: ChannelId) -> str:
        """What opens the owner's channel, for its address. Raises Unavailable where it is a ticket and Redis is away."""
        if self.tickets != "required":
            return issue(self.secrets[0], owner, channel, self.clock() + timedelta(seconds=self.token_seconds))
        ticket = new_ticket()
        await self.channels.put_ticket(ticket_hash(ticket), owner, channel, seconds=TICKET_SECONDS)
        return ticket

    async def admit(self, channel: ChannelId, *, api_keys: list[str], user_ids: list[str], token: str | None) -> Admitted:
        """Whose channel is opened. Raises Unauthorized, Forbidden, NotFound, Unavailable; no text of theirs has a token in it.

        A user id alone is no attempt to authenticate: proxies add it. Where no bare name is looked up, and no ticket, Redis is not asked.
        """
        if api_keys:
            principal = self.access.authenticate(api_keys, user_ids)
            if Scope.READ not in principal.scopes:
                raise Forbidden("scope_missing", "this key may not read", scope=Scope.READ)
            return Admitted(principal.owner)
        if named := await self._named(channel, token):
            return Admitted(named, is_registered=True)
        stale = "the token is not ours, is for another channel, or is too old: " if token else ""
        if self.tickets == "required":
            raise Forbidden("ticket_required", f"{stale}each ticket opens one socket, within {TICKET_SECONDS} seconds; {_HOW}")
        if self.tickets == "auto" and not is_random_uuid(channel):
            raise Forbidden("token_required", f"{stale}this ws-uuid is not a random UUID (version 4), so its name alone opens nothing; {_HOW}")
        return Admitted(await self.access.owner_of(channel))

    async def _named(self, channel: ChannelId, token: str | None) -> OwnerId | None:
        if not token:
            return None
        if self.tickets != "required":
            return holder(self.secrets, channel, token, self.clock())
        taken = await self.channels.take_ticket(ticket_hash(token))
        return taken[0] if taken and taken[1] == channel else None
