"""Who is asking, and whose channel is it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import NotFound, Unauthorized
from app.domain.ids import ChannelId, OwnerId, owner_id
from app.domain.layout import channel_prefix
from app.ports import Channels, Keys, ObjectStore
from app.services.offload import Offload


@dataclass(frozen=True, slots=True)
class Access:
    keys: Keys
    channels: Channels
    store: ObjectStore
    offload: Offload

    def authenticate(self, api_keys: list[str], user_ids: list[str]) -> OwnerId:
        """The owner that the headers name. Raises Unauthorized: one missing, sent twice, or the key is wrong.

        Two values of a header are refused and not chosen from: a proxy in front may have looked at the other one.
        """
        if len(api_keys) != 1 or len(user_ids) != 1 or not user_ids[0]:
            raise Unauthorized(detail="send exactly one X-API-Key and one X-User-ID")
        organisation = self.keys.organisation(api_keys[0])
        if organisation is None:
            raise Unauthorized(detail="the API key is not valid")
        return owner_id(organisation, user_ids[0])

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

    async def own(self, owner: OwnerId, channel: ChannelId, *, registered: bool) -> None:
        """The owner's channel of that name is open, whoever has the bare name. Raises NotFound, Unavailable.

        One that Redis does not know is opened again when the caller knows that it was `registered`, or the store's markers say so.
        """
        if await self.channels.state(owner, channel) is not None:
            return
        if not registered and owner not in await self.offload(self._owners, channel):
            raise NotFound(detail="no such channel")
        await self.channels.reopen(owner, channel)

    async def owner_of(self, channel: ChannelId) -> OwnerId:
        """Who the bare name belongs to. Raises NotFound, Unavailable."""
        owner = await self.channels.resolve(channel)
        if owner is None:
            before = await self.offload(self._owners, channel)
            if not before:
                raise NotFound(detail="no such channel")
            owner = before[0]
            await self.channels.restore(owner, channel)
        return owner

    def _owners(self, channel: ChannelId) -> list[OwnerId]:
        return [OwnerId(name.rstrip("/")) for name in self.store.names(channel_prefix(channel), limit=100)]
