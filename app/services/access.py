"""Who is asking, and whose channel is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from app.domain.errors import NotFound, Unauthorized, Unavailable
from app.domain.ids import ChannelId, OwnerId, owner_id
from app.domain.layout import channel_prefix
from app.domain.upload_token import read
from app.ports import Channels, Clock, Keys, ObjectStore
from app.services.offload import Offload
from app.services.owed import Owed
from app.services.principal import Principal


@dataclass(frozen=True, slots=True)
class Access:
    keys: Keys
    channels: Channels
    store: ObjectStore
    offload: Offload
    owed: Owed
    secrets: Sequence[str] = ()
    """What upload tokens are signed with, current first."""
    clock: Clock = lambda: datetime.now(UTC)

    def authenticate(self, api_keys: list[str], user_ids: list[str], bearers: Sequence[str] = ()) -> Principal:
        """Who the headers name: a key with a user, or an upload token alone. Raises Unauthorized: one missing, sent twice, or wrong.

        Two values of a header are refused and not chosen from: a proxy in front may have looked at the other one.
        """
        if bearers and not api_keys:
            token = read(self.secrets, bearers[0], self.clock()) if len(bearers) == 1 else None
            if token is None:
                raise Unauthorized(detail="the upload token is not ours, or its time is over", is_guess=True)
            return Principal(token.owner, token.organisation, token.scopes, token)
        if len(api_keys) != 1 or len(user_ids) != 1 or not user_ids[0] or bearers:
            raise Unauthorized(detail="send exactly one X-API-Key and one X-User-ID, or an upload token as Authorization: Bearer")
        key = self.keys.find(api_keys[0])
        if key is None:
            raise Unauthorized(detail="the API key is not valid", is_guess=True)
        return Principal(owner_id(key.organisation, user_ids[0]), key.organisation, key.scopes)

    async def register(self, owner: OwnerId, channel: ChannelId, *, explicit: bool, keep_open: bool | None = None, expect: int | None = None) -> None:
        """Open the channel for its owner. Raises NotFound when the name is another's (and says no more), Unavailable.

        A name that Redis does not know may be one that a wipe took: the store's markers then say whose it was.
        """
        registered = await self.channels.register(owner, channel, explicit=explicit, keep_open=keep_open, expect=expect)
        if registered.new:
            before = await self.offload(self._owners, channel)
            if before and owner not in before:
                await self.channels.restore(before[0], channel)
                raise NotFound(detail="no such channel")
        elif registered.owner != owner:
            raise NotFound(detail="no such channel")

    async def open(self, owner: OwnerId, channel: ChannelId, *, keep_open: bool | None, expect: int | None) -> None:
        """Register the channel because its owner asks for it (POST …/ws). Raises NotFound; Unavailable only when the store is away too.

        With Redis away the store says whether the name is another's, and the rest is done when Redis is back. If this process ends
        before, the channel is opened by the token of its address, or by its first source, without `keep_open` and `expect`.
        """
        try:
            await self.register(owner, channel, explicit=True, keep_open=keep_open, expect=expect)
        except Unavailable:
            before = await self.offload(self._owners, channel)
            if before and owner not in before:
                raise NotFound(detail="no such channel") from None
            self.owed.add(("channel", owner, channel), partial(self._open_late, owner, channel, keep_open=keep_open, expect=expect))

    async def _open_late(self, owner: OwnerId, channel: ChannelId, *, keep_open: bool | None, expect: int | None) -> None:
        """Unless it was done by the call that had no answer: once more would count as a second registration."""
        state = await self.channels.state(owner, channel)
        is_done = (
            state is not None and state.registered and (keep_open is None or state.keep_open == keep_open) and (expect is None or state.expected == expect)
        )
        if not is_done:
            await self.register(owner, channel, explicit=True, keep_open=keep_open, expect=expect)

    async def own(self, owner: OwnerId, channel: ChannelId, *, registered: bool) -> None:
        """The owner's channel of that name is open, whoever has the bare name. Raises NotFound, Unavailable.

        One that Redis does not know is opened again when the caller knows that it was `registered`, or the store's markers say so.
        """
        if await self.channels.is_open(owner, channel):
            return
        if not registered and owner not in await self.offload(self._owners, channel):
            await self._require_whole()
            raise NotFound(detail="no such channel")
        await self.channels.reopen(owner, channel)

    async def owner_of(self, channel: ChannelId) -> OwnerId:
        """Who the bare name belongs to. Raises NotFound, Unavailable."""
        owner = await self.channels.resolve(channel)
        if owner is None:
            before = await self.offload(self._owners, channel)
            if not before:
                await self._require_whole()
                raise NotFound(detail="no such channel")
            owner = before[0]
            await self.channels.restore(owner, channel)
        return owner

    async def _require_whole(self) -> None:
        """Nobody can say that a name is unknown before the inbox was looked through: the store has markers of what was read, not of what waits."""
        if not await self.channels.is_whole():
            raise Unavailable("recovering", "Redis was emptied, and is being filled again from the store")

    def _owners(self, channel: ChannelId) -> list[OwnerId]:
        return [OwnerId(name.rstrip("/")) for name in self.store.names(channel_prefix(channel), limit=100)]
