"""Staging: one upload's bytes on their way into objects/…, as they come, in bounded memory.

Up to one part is held and sent as a single PUT. What is larger goes in parts, at most two of them under way while the next one
fills, so an upload holds three parts at the most, all of them counted by the process' BufferBudget.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from xxhash import xxh3_128

from app.domain.errors import TooLarge, Unavailable
from app.domain.ids import OwnerId, UploadId, new_upload
from app.domain.layout import object_key
from app.domain.policy import INLINE_BYTES, MAX_PARTS, part_bytes
from app.ports import ObjectStore, Transfer
from app.services.budget import Share
from app.services.offload import Offload

_UNDER_WAY = 2
_STEP = 256 * 1024
"""The budget is asked in steps, not for every chunk."""


@dataclass(frozen=True, slots=True)
class Staged:
    upload: UploadId
    size: int
    digest: str
    """xxh3-128 of the bytes, hex: fast (20 GB/s) and for idempotence only; the worker computes the SHA-256."""
    body: bytes | None = None
    """The bytes, when they are few: they go into the inbox record, and nothing was written yet."""


class Staging:
    """One object in the making. It ends by `hand_over` or by `abort`; who drops it otherwise leaves an object that nobody names."""

    def __init__(self, store: ObjectStore, offload: Offload, share: Share, owner: OwnerId, *, max_bytes: int, content_length: int | None = None) -> None:
        self.upload = new_upload()
        self.size = 0
        self.key = object_key(owner, self.upload)
        self._store = store
        self._offload = offload
        self._share = share
        self._part = part_bytes(content_length)
        self._max = min(max_bytes, self._part * MAX_PARTS)
        self._digest = xxh3_128()
        self._buffer = bytearray()
        self._paid = 0
        self._transfer: Transfer | None = None
        self._sent = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._staged: Staged | None = None

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while the budget is spent or the store is behind. Raises TooLarge, Unavailable."""
        self.size += len(chunk)
        if self.size > self._max:
            raise TooLarge(detail=f"an upload may have {self._max} bytes", limit=self._max)
        while len(self._buffer) + len(chunk) > self._part:
            room = self._part - len(self._buffer)
            await self._pay(self._part)
            self._buffer += chunk[:room]
            chunk = chunk[room:]
            await self._send_part()
        await self._pay(len(self._buffer) + len(chunk))
        self._buffer += chunk

    @property
    def is_inline(self) -> bool:
        """So few bytes have come that they fit into the inbox record."""
        return self.size <= INLINE_BYTES

    async def finish(self, *, inline: bool = False) -> Staged:
        """All bytes have come: make the object durable. Asked again: the same answer. Raises Unavailable; then nothing is left.

        `inline`: where they fit into the inbox record they are not written but handed over.
        """
        if self._staged is not None:
            return self._staged
        body = None
        try:
            if self._transfer is None:
                self._digest.update(self._buffer)
                if inline and self.is_inline:
                    body = bytes(self._buffer)
                else:
                    await self._offload(self._store.put, self.key, self._buffer)
            else:
                if self._buffer:
                    await self._send_part()
                await self._drain(0)
                await self._offload(self._transfer.complete)
        except asyncio.CancelledError:
            await self.abort()
            await self._remove()  # the store may have made the object all the same
            raise
        except BaseException:
            await self.abort()
            raise
        self._release()
        self._staged = Staged(self.upload, self.size, self._digest.hexdigest(), body)
        return self._staged

    def hand_over(self) -> Staged:
        """What was finished is somebody else's now: `abort` leaves it alone."""
        if self._staged is None:
            raise RuntimeError("not finished, or aborted")
        staged, self._staged = self._staged, None
        return staged

    async def abort(self) -> None:
        """The upload came to nothing: stop, and leave nothing in the store. Idempotent; does nothing after `hand_over`."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._release()
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            await self._offload(transfer.abort)
        staged, self._staged = self._staged, None
        if staged is not None and staged.body is None:
            await self._remove()

    async def _pay(self, size: int) -> None:
        if size > self._paid:
            step = min(-(-size // _STEP) * _STEP, self._part) - self._paid
            await self._share.take(step)
            self._paid += step

    async def _send_part(self) -> None:
        if self._transfer is None:
            self._transfer = await self._offload(self._store.start, self.key, part_bytes=self._part)
        await self._drain(_UNDER_WAY - 1)
        body, paid = self._buffer, self._paid
        self._buffer, self._paid = bytearray(), 0
        self._sent += 1
        self._digest.update(body)
        self._under_way.add(asyncio.create_task(self._put_part(self._transfer, self._sent, body, paid)))

    async def _put_part(self, transfer: Transfer, number: int, body: bytearray, paid: int) -> None:
        try:
            await self._offload(transfer.put_part, number, body)
        finally:
            self._share.give(paid)

    async def _drain(self, most: int) -> None:
        """Wait until at most so many parts are under way. Raises what a part raised."""
        while len(self._under_way) > most:
            done, self._under_way = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*done)

    async def _remove(self) -> None:
        with suppress(Unavailable):  # then nobody names it, and the daily sweep takes it
            await self._offload(self._store.delete, [self.key])

    def _release(self) -> None:
        self._buffer = bytearray()
        self._share.close()
