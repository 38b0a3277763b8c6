"""The upload form, read as it comes: small fields are kept, file bytes go on to the store at once. Fields may come in any order.

Several files go through one after the other: while one comes, the one before it is being made durable, so a form holds no more memory
than two uploads. Nothing is accepted before the form has ended well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from fastapi import Request

from app.api.deps import body, content_length
from app.api.multipart import FIELD_LIMIT_BYTES, Field, FileBegins, FileBytes, MultipartReader, boundary
from app.domain.errors import InvalidRequest, TooLarge
from app.domain.ids import SourceId, channel_id, source_id
from app.domain.policy import MAX_FILES
from app.domain.wire import parse
from app.services.hold import Hold
from app.services.principal import Principal
from app.services.receipt import Receipt
from app.services.staging import Staged, Staging
from app.services.upload import Upload

# What the form may weigh beside the files: fields, part headers and boundaries. So a file of exactly the limit fits.
_FORM_OVERHEAD_BYTES = 256 * 1024
# Of all fields together, since they are kept: a repeated one must not make a form heavy.
_FIELDS_LIMIT_BYTES = 8 * FIELD_LIMIT_BYTES


T = TypeVar("T")


@dataclass(slots=True)
class FormFile:
    staging: Staging
    filename: str | None
    media_type: str | None
    refusal: TooLarge | None = None
    """Why its bytes were dropped, while the form went on."""


@dataclass(slots=True)
class Form:
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[FormFile] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.staging.size for file in self.files)

    def field(self, name: str) -> str | None:
        """Its first value; None when it was not sent."""
        return next(iter(self.fields.get(name, ())), None)

    def json_field(self, name: str, kind: type) -> Any:
        """The field as JSON of that type; an empty one when it was not sent. Raises InvalidRequest."""
        text = self.field(name)
        if not text:
            return kind()
        try:
            value = parse(text)
        except ValueError:
            value = None
        if not isinstance(value, kind):
            raise InvalidRequest("invalid_field", f"{name} must be a JSON {'object' if kind is dict else 'list'}", field=name)
        return value

    def pairs(self, of: str) -> list[tuple[str | None, str | None, FormFile | None]]:
        """Each file with its id (the field `of`) and its `filename`, in the order in which each of the three came, whatever came between.

        A form without a file is one pair without one. Raises InvalidRequest when there is not one id for each, or some have a name and some not.
        """
        count = max(len(self.files), 1)
        ids: list[str] = self.fields.get(of, [])
        names: list[str] = self.fields.get("filename", [])
        if (ids or count > 1) and len(ids) != count:
            raise InvalidRequest("unpaired_files", f"{len(ids)} {of} for {len(self.files)} files: send one for each", field=of)
        if names and len(names) != count:
            raise InvalidRequest("unpaired_files", f"{len(names)} filename for {len(self.files)} files: send one for each, or none", field="filename")
        files: Sequence[FormFile] = self.files
        return list(zip(_or_none(ids, count), _or_none(names, count), _or_none(files, count), strict=True))


def _or_none(values: Sequence[T], count: int) -> list[T | None]:
    return [*values] if values else [None] * count


class FormReader:
    """One request's form, in `async with`: `read` may be called once; an error leaves nothing in the store but what was accepted.

    `each`: the field that names a source, if the form may bring several; it, `filename` and `file` may then be repeated.
    """

    def __init__(self, request: Request, principal: Principal, upload: Upload, allowed: Iterable[str], *, each: str | None = None) -> None:
        self._request = request
        self._owner = principal.owner
        self._most = principal.token.max_bytes if principal.token else None
        self._upload = upload
        self._allowed = frozenset(allowed)
        self._each = each
        self._hold: Hold | None = None
        self._receipt: Receipt | None = None
        self._source: SourceId | None = None
        """Whose bytes are coming, if the form has said so."""
        self._finishing: asyncio.Task[Staged] | None = None
        self._fields_bytes = 0
        self.form = Form()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._receipt is not None:
            self._receipt.end()
        if error is not None:
            if self._finishing is not None:
                self._finishing.cancel()
                await asyncio.gather(self._finishing, return_exceptions=True)
            await asyncio.gather(*(file.staging.abort() for file in self.form.files))
        if self._hold is not None:  # accepted or not: from here on the source itself keeps the channel open, if it is open
            await self._hold.end()

    async def read(self) -> Form:
        """Raises InvalidRequest (400), TooLarge (413), RequestTimeout (408), NotFound (the channel is another's), BodyCut, Unavailable."""
        policy = self._upload.policy
        most = policy.request_bytes if self._each else policy.max_upload_bytes
        length = content_length(self._request, most + _FORM_OVERHEAD_BYTES)
        reader = MultipartReader(boundary(self._request.headers.get("content-type")))
        received = 0
        async for chunk in body(self._request, stall_seconds=policy.body_stall_seconds):
            received += len(chunk)
            if received > most + _FORM_OVERHEAD_BYTES:
                raise TooLarge(detail=f"an upload may have {most} bytes", limit=most)
            for part in reader.feed(chunk):
                if isinstance(part, FileBytes):
                    await self._write(part.chunk)
                elif isinstance(part, Field):
                    self._take(part)
                elif isinstance(part, FileBegins):
                    await self._begin(part, length)
            await self._say(received)
        reader.close()
        if self._receipt is not None:
            self._receipt.end()
        if self._finishing is not None:
            await self._finishing
        return self.form

    async def _say(self, received: int) -> None:
        if self._hold is not None:
            await self._hold.renew()
        if self._receipt is not None and self._source is not None:
            self._receipt.came(self._source, received)

    def _take(self, part: Field) -> None:
        if part.name not in self._allowed:
            raise InvalidRequest("unexpected_field", f"unexpected field {part.name[:64]!r}", field=part.name[:64])
        if part.name in self.form.fields and (self._each is None or part.name not in {self._each, "filename"}):
            raise InvalidRequest("repeated_field", f"field {part.name} was sent twice", field=part.name)
        self._fields_bytes += len(part.value.encode())
        if self._fields_bytes > _FIELDS_LIMIT_BYTES:
            raise InvalidRequest("field_too_large", f"all fields together may have {_FIELDS_LIMIT_BYTES} bytes", field=part.name)
        self.form.fields.setdefault(part.name, []).append(part.value)

    async def _begin(self, part: FileBegins, length: int | None) -> None:
        files = self.form.files
        if part.name != "file":
            raise InvalidRequest("unexpected_field", f"unexpected file field {part.name[:64]!r}", field=part.name[:64])
        if files and self._each is None:
            raise InvalidRequest("repeated_field", "send one file in a request", field="file")
        if len(files) == MAX_FILES:
            raise InvalidRequest("too_many_files", f"a request may bring {MAX_FILES} files", field="file")
        if files:
            await self._make_durable(files[-1])
        staging = self._upload.staging(self._owner, length, max_bytes=self._most)
        files.append(FormFile(staging, part.filename, part.media_type))
        channel = self.form.field("ws-uuid")
        if channel and self._hold is None:
            # Several are held for whatever they weigh: the first must not end before the last is accepted.
            self._hold = await self._upload.hold(self._owner, channel_id(channel), staging, length if len(files) == 1 else None)
        if channel and self._hold is not None:
            self._receipt = self._receipt or self._upload.receipt(self._owner, channel_id(channel), length)
        self._source = self._named(len(files))

    def _named(self, number: int) -> SourceId | None:
        ids = self.form.fields.get(self._each or "", [])
        if len(ids) >= number:
            with suppress(InvalidRequest):
                return source_id(ids[number - 1])
        return None

    async def _make_durable(self, file: FormFile) -> None:
        """All of it has come. One is under way at a time; what it holds is given back when it is done, so the next one's wait for memory ends."""
        if self._finishing is not None:
            await self._finishing
            self._finishing = None
        if file.refusal is None:
            self._finishing = asyncio.create_task(file.staging.finish())

    async def _write(self, chunk: memoryview) -> None:
        file = self.form.files[-1]
        if file.refusal is not None:
            return
        try:
            await file.staging.write(chunk)
        except TooLarge as error:
            if self._most is not None or self._each is None or self._upload.policy.request_bytes <= self._upload.policy.max_upload_bytes:
                raise  # nothing of use can follow
            file.refusal = error
            await file.staging.abort()
