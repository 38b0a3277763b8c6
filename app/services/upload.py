"""Upload: what a client submits, gathered in whatever order it comes, then accepted. accept.py tells what happens from there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh3_128_hexdigest

from app.domain import filename
from app.domain.errors import HeadraceError, InvalidRequest, TooLarge, Unavailable
from app.domain.ids import ChannelId, OwnerId, SourceId, new_upload
from app.domain.policy import UploadPolicy
from app.domain.profile import DEFAULT, Profile
from app.domain.source import METADATA_LIMIT_BYTES, InboxRecord
from app.domain.urls import check_url
from app.domain.wire import json_size
from app.ports import Channels, ObjectStore
from app.protocol.outcome import Outcome
from app.services.accept import Accept
from app.services.access import Access
from app.services.budget import BufferBudget
from app.services.hold import Hold
from app.services.offload import Offload
from app.services.principal import Principal
from app.services.receipt import Receipt
from app.services.staging import Staged, Staging
from app.services.terms import Terms, terms

log = logging.getLogger(__name__)

_LONG_BODY_BYTES = 1024 * 1024
"""Above this an upload holds its channel open while it comes; smaller ones are over before that matters."""


@dataclass(slots=True)
class Submission:
    """What a client says of a source, beside its bytes."""

    source: SourceId
    channel: ChannelId
    base_url: str
    filename: str | None = None
    declared_type: str | None = None
    url: str | None = None
    tags: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    terms: Terms = field(default_factory=lambda: Terms(max_bytes=1 << 62))
    options: dict[str, Any] = field(default_factory=dict)
    traceparent: str | None = None
    callback_url: str | None = None
    """Who is told of the end."""
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    store: ObjectStore
    offload: Offload
    budget: BufferBudget
    access: Access
    channels: Channels
    accept: Accept
    policy: UploadPolicy
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {DEFAULT: Profile()})

    def terms(self, principal: Principal, profile: str | None) -> Terms:
        """What an upload of this caller must keep to. Raises InvalidRequest, Forbidden: the profile is none, or not for this token."""
        return terms(principal, profile, self.profiles, max_bytes=self.policy.max_upload_bytes)

    def staging(self, owner: OwnerId, content_length: int | None, *, max_bytes: int | None = None) -> Staging:
        """Somewhere to put the bytes of one upload. Whoever asks ends it, by `file`, `files` or `Staging.abort`."""
        most = self.policy.max_upload_bytes if max_bytes is None else min(max_bytes, self.policy.max_upload_bytes)
        return Staging(self.store, self.offload, self.budget.share(), owner, max_bytes=most, content_length=content_length)

    async def hold(self, owner: OwnerId, channel: ChannelId, staging: Staging, content_length: int | None) -> Hold | None:
        """Say early that a long body is on its way; None for a short one. Raises NotFound when the channel is another's."""
        if content_length is not None and content_length <= _LONG_BODY_BYTES:
            return None
        with suppress(Unavailable):
            await self.access.register(owner, channel, explicit=False)
        held = Hold(self.channels, owner, channel, staging.upload)
        await held.renew()
        return held

    def receipt(self, owner: OwnerId, channel: ChannelId, content_length: int | None) -> Receipt:
        """What tells the channel how much of a body has come."""
        return Receipt(self.channels, owner, channel, content_length)

    async def file(self, owner: OwnerId, submission: Submission, staging: Staging) -> None:
        """All bytes are in `staging`: accept them. Raises NotFound, Conflict, Unavailable; then nothing is accepted or left behind."""
        _check(submission, staging.size)
        staged, known, past = await asyncio.gather(
            staging.finish(inline=True), self._known(owner, submission.channel), self._past(owner, submission.source, staging), return_exceptions=True
        )
        if isinstance(staged, BaseException):
            raise staged
        if isinstance(known, BaseException):
            await staging.abort()
            raise known
        if isinstance(past, BaseException):
            await staging.abort()
            raise past
        await self.accept(owner, self._record(submission, staging.hand_over()), past=past, receiving=staged.upload)

    async def files(self, owner: OwnerId, uploads: Sequence[tuple[Submission, Staging]]) -> list[HeadraceError | None]:
        """Accept several of one channel, all at once and each by itself. Of each, in order: what refused it, or None.

        A refused one leaves nothing behind. Raises InvalidRequest, NotFound before anything is accepted; the caller then aborts all of them.
        """
        for submission, staging in uploads:
            _check(submission, staging.size)
        for channel in {submission.channel for submission, _ in uploads}:
            await self._known(owner, channel)
        return await asyncio.gather(*(self._try(owner, submission, staging) for submission, staging in uploads))

    async def _try(self, owner: OwnerId, submission: Submission, staging: Staging) -> HeadraceError | None:
        try:
            await staging.finish()
            await self.accept(owner, self._record(submission, staging.hand_over()))
        except HeadraceError as error:
            return error
        except Exception:
            # The others are accepted, and their answers must not be lost with this one's.
            log.exception("one of several uploads failed")
            return HeadraceError(detail="something went wrong on our side")
        return None

    async def url(self, owner: OwnerId, submission: Submission) -> None:
        """Accept a URL; a worker fetches it. Raises InvalidRequest, NotFound, Conflict, Unavailable."""
        _check(submission)
        url = submission.url or ""
        check_url(url)
        await self._known(owner, submission.channel)
        record = self._record(submission, Staged(new_upload(), 0, "url:" + xxh3_128_hexdigest(url.encode())))
        await self.accept(owner, record.model_copy(update={"size": None}))

    async def document(self, owner: OwnerId, submission: Submission, body: bytes) -> None:
        """Accept bytes that are in memory already."""
        staging = self.staging(owner, len(body))
        try:
            await staging.write(body)
            await self.file(owner, submission, staging)
        except BaseException:
            await staging.abort()
            raise

    async def _past(self, owner: OwnerId, source: SourceId, staging: Staging) -> Outcome | None:
        """Looked for beside the write; None where nothing is written, and it is looked for beside the claim."""
        return None if staging.is_inline else await self.accept.look(owner, source)

    async def _known(self, owner: OwnerId, channel: ChannelId) -> None:
        """The channel is open and ours. With Redis away nobody can tell: accepted all the same, under our own name."""
        with suppress(Unavailable):
            await self.access.register(owner, channel, explicit=False)

    @staticmethod
    def _record(submission: Submission, staged: Staged) -> InboxRecord:
        return InboxRecord(
            source_uuid=submission.source,
            ws_uuid=submission.channel,
            upload=staged.upload,
            digest=staged.digest,
            size=staged.size,
            filename=filename.clean(submission.filename) if submission.filename or not submission.url else filename.UNNAMED,
            declared_type=submission.declared_type,
            url=submission.url or None,
            max_bytes=submission.terms.max_bytes if submission.url else None,
            types=list(submission.terms.types) or None,
            tags=submission.tags,
            metadata=submission.metadata | submission.terms.metadata,
            profile=submission.terms.profile,
            options=submission.options,
            base_url=submission.base_url,
            traceparent=submission.traceparent,
            callback_url=submission.callback_url or None,
            organisation=submission.organisation if submission.callback_url else None,
        ).packed(staged.body)


def _check(submission: Submission, size_bytes: int = 0) -> None:
    if size_bytes > submission.terms.max_bytes:  # the profile may have been named after the file
        limit = submission.terms.max_bytes
        raise TooLarge(detail=f"an upload of profile {submission.terms.profile} may have {limit} bytes", limit=limit)
    if submission.callback_url:
        check_url(submission.callback_url)
    if not all(isinstance(tag, dict) for tag in submission.tags):
        raise InvalidRequest("invalid_field", "tags must be a list of objects", field="tags")
    if json_size(submission.metadata | submission.terms.metadata) > METADATA_LIMIT_BYTES:
        raise InvalidRequest("metadata_too_large", f"metadata may have {METADATA_LIMIT_BYTES} bytes", field="metadata")
