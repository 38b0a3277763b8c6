"""The upload form, read as it comes: small fields are kept, file bytes go on to the store at once. Fields may come in any order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from fastapi import Request

from app.api.deps import body, content_length
from app.api.multipart import Field, FileBegins, FileBytes, MultipartReader, boundary
from app.domain.errors import InvalidRequest, TooLarge
from app.domain.ids import OwnerId, channel_id
from app.domain.wire import parse
from app.services.hold import Hold
from app.services.staging import Staging
from app.services.upload import Upload

# What the form may weigh beside the file: fields, part headers and boundaries. So a file of exactly the limit fits.
_FORM_OVERHEAD_BYTES = 256 * 1024


@dataclass(slots=True)
class Form:
    fields: dict[str, str] = field(default_factory=dict)
    staging: Staging | None = None
    filename: str | None = None
    media_type: str | None = None

    def json_field(self, name: str, kind: type) -> Any:
        """The field as JSON of that type; an empty one when it was not sent. Raises InvalidRequest."""
        text = self.fields.get(name)
        if not text:
            return kind()
        try:
            value = parse(text)
        except ValueError:
            value = None
        if not isinstance(value, kind):
            raise InvalidRequest("invalid_field", f"{name} must be a JSON {'object' if kind is dict else 'list'}", field=name)
        return value


class FormReader:
    """One request's form, in `async with`: `read` may be called once; an error leaves nothing of the form in the store."""

    def __init__(self, request: Request, owner: OwnerId, upload: Upload, allowed: Iterable[str]) -> None:
        self._request = request
        self._owner = owner
        self._upload = upload
        self._allowed = frozenset(allowed)
        self._hold: Hold | None = None
        self.form = Form()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None and self.form.staging is not None:
            await self.form.staging.abort()
        if self._hold is not None:  # accepted or not: from here on the source itself keeps the channel open, if it is open
            await self._hold.end()

    async def read(self) -> Form:
        """Raises InvalidRequest (400), TooLarge (413), RequestTimeout (408), NotFound (the channel is another's), BodyCut, Unavailable."""
        policy = self._upload.policy
        left = policy.max_upload_bytes + _FORM_OVERHEAD_BYTES
        length = content_length(self._request, left)
        reader = MultipartReader(boundary(self._request.headers.get("content-type")))
        async for chunk in body(self._request, stall_seconds=policy.body_stall_seconds):
            left -= len(chunk)
            if left < 0:
                raise TooLarge(detail=f"an upload may have {policy.max_upload_bytes} bytes", limit=policy.max_upload_bytes)
            for part in reader.feed(chunk):
                if isinstance(part, FileBytes):
                    if self.form.staging is not None:
                        await self.form.staging.write(part.chunk)
                elif isinstance(part, Field):
                    self._take(part)
                elif isinstance(part, FileBegins):
                    await self._begin(part, length)
            if self._hold is not None:
                await self._hold.renew()
        reader.close()
        return self.form

    def _take(self, part: Field) -> None:
        if part.name not in self._allowed:
            raise InvalidRequest("unexpected_field", f"unexpected field {part.name[:64]!r}", field=part.name[:64])
        if part.name in self.form.fields:
            raise InvalidRequest("repeated_field", f"field {part.name} was sent twice", field=part.name)
        self.form.fields[part.name] = part.value

    async def _begin(self, part: FileBegins, length: int | None) -> None:
        if part.name != "file":
            raise InvalidRequest("unexpected_field", f"unexpected file field {part.name[:64]!r}", field=part.name[:64])
        if self.form.staging is not None:
            raise InvalidRequest("repeated_field", "send one file in a request", field="file")
        staging = self.form.staging = self._upload.staging(self._owner, length)
        self.form.filename, self.form.media_type = part.filename, part.media_type
        channel = self.form.fields.get("ws-uuid")
        if channel:
            self._hold = await self._upload.hold(self._owner, channel_id(channel), staging, length)
