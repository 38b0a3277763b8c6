"""Objects in a bucket: AWS, or any S3 that has create-only PUT. Where S3 servers differ from the book is said beside the call."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import obstore
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from app.adapters.create_only import prove
from app.adapters.object_key import checked_key, checked_limit, checked_prefix, checked_type
from app.adapters.s3_abandoned import drop_abandoned
from app.adapters.s3_client import BotoClients, Runtime, S3Location, boto_session, obstore_client
from app.adapters.s3_refusal import refusal, s3_refusals
from app.adapters.s3_transfer import S3Transfer
from app.domain.errors import ObjectNotFound, StoreUnfit, Unavailable
from app.domain.filename import attachment
from app.ports import Listed, ObjectStat

_LINK_LIMIT_SECONDS: Final = 7 * 86400
_CONFLICTS: Final = 5
_CONFLICT_SECONDS: Final = 0.05
_PAGE: Final = 1000


class S3ObjectStore:
    """Make it after the fork, in the process that uses it: in a child of a process that has used S3 each call raises StoreUnfit.

    A write whose answer was lost may have happened, though Unavailable was raised: so it is with every store behind a network.
    """

    def __init__(self, location: S3Location) -> None:
        Runtime.check()
        self._bucket = location.bucket
        self._location = location
        self._base = f"{location.prefix.strip('/')}/".lstrip("/")
        try:
            self._session = session = boto_session(location)
            self._obstore_client = obstore_client(session, location)
        except (ValueError, OSError) as error:
            raise StoreUnfit(detail=f"S3: {error}") from error
        self._boto = BotoClients(session, location)

    def put(self, key: str, body: bytes | bytearray | memoryview, *, media_type: str = "application/octet-stream") -> None:
        path, attributes = self._path(key), {"Content-Type": checked_type(media_type)}
        with s3_refusals():
            obstore.put(self._obstore, path, body, attributes=attributes, use_multipart=False)

    def create(self, key: str, body: bytes, *, media_type: str = "application/json") -> bool:
        path, attributes = self._path(key), {"Content-Type": checked_type(media_type)}
        with s3_refusals():
            for tried in range(_CONFLICTS):
                try:
                    obstore.put(self._obstore, path, body, attributes=attributes, mode="create", use_multipart=False)
                except AlreadyExistsError as error:
                    # AWS answers 409 when another request was at the key at that moment; obstore calls that taken, but it need not be.
                    if refusal(error)[0] != "409":
                        return False
                    time.sleep(_CONFLICT_SECONDS * 2**tried * random.uniform(0.5, 1))  # noqa: S311  jitter
                else:
                    return True
        raise Unavailable("storage_unavailable", "the object store does not serve: 409 ConditionalRequestConflict")

    def start(self, key: str, *, part_bytes: int, media_type: str = "application/octet-stream") -> S3Transfer:
        return S3Transfer(self._boto.control(), self._bucket, self._path(key), part_bytes, checked_type(media_type))

    def get(self, key: str) -> bytes:
        with s3_refusals(key):
            return obstore.get(self._obstore, self._path(key)).bytes().to_bytes()

    def stat(self, key: str) -> ObjectStat | None:
        try:
            with s3_refusals(key):
                seen = obstore.get(self._obstore, self._path(key), options={"head": True})
        except ObjectNotFound:
            return None
        media_type = seen.attributes.get("Content-Type", "application/octet-stream")
        return ObjectStat(size=seen.meta["size"], media_type=media_type, modified=seen.meta["last_modified"])

    def read(self, key: str, *, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """boto3 here: its deadline is for each piece, obstore's for the whole."""
        if stop is not None and stop <= start:
            self._require(key)
            return iter(())
        wanted: dict[str, Any] = {} if start == 0 and stop is None else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        with s3_refusals(key):
            try:
                answer = self._boto.control().get_object(Bucket=self._bucket, Key=self._path(key), **wanted)
            except ClientError as error:
                if refusal(error)[1] == "InvalidRange":  # the object ends before `start`
                    return iter(())
                raise
        chunks = _chunks(answer["Body"], chunk_bytes)
        next(chunks)  # now the connection goes with the iterator, taken or not
        return chunks

    def names(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        if checked_limit(limit) and not after and not self.keys(prefix, limit=1):
            return []  # the usual answer for a new source or channel, and obstore learns it at a fifth of boto3's CPU
        below = self._base + checked_prefix(prefix)
        position: dict[str, Any] = {"StartAfter": below + after} if after else {}
        found: list[str] = []
        while len(found) < limit:
            # One more than is wanted: AWS gives `after` again when it ends in `/`, since there are keys behind it.
            page = min(_PAGE, limit - len(found) + 1)
            with s3_refusals():
                answer = self._boto.control().list_objects_v2(Bucket=self._bucket, Prefix=below, Delimiter="/", MaxKeys=page, **position)
            keys = [one["Key"] for one in answer.get("Contents", ())] + [one["Prefix"] for one in answer.get("CommonPrefixes", ())]
            found += sorted(name for name in (key.removeprefix(below) for key in keys) if name > after)
            if not answer["IsTruncated"]:
                break
            position = {"ContinuationToken": answer["NextContinuationToken"]}
        return found[:limit]

    def keys(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return [one.key for one in self.listing(prefix, after=after, limit=limit)]

    def listing(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[Listed]:
        below = self._base + checked_prefix(prefix)
        found: list[Listed] = []
        with s3_refusals():
            for page in obstore.list(self._obstore, below or None, offset=self._base + after if after else None, chunk_size=checked_limit(limit)):
                found += [Listed(one["path"].removeprefix(self._base), one["last_modified"]) for one in page]
                if len(found) >= limit:
                    break
        return found[:limit]

    def drop_abandoned(self, before: datetime) -> int:
        return drop_abandoned(self._boto.control(), self._bucket, self._base, before)

    def delete(self, keys: Sequence[str]) -> None:
        paths = [self._path(key) for key in keys]
        if paths:
            with s3_refusals():
                if len(paths) > 1:
                    obstore.delete(self._in_bulk, paths)
                else:
                    obstore.delete(self._obstore, paths[0])

    def link(self, key: str, *, filename: str, media_type: str, seconds: int) -> str | None:
        """Made without a request: whether the object is there shows when the link is followed. Seven days at most, as S3 has it."""
        wanted = {"ResponseContentDisposition": attachment(filename), "ResponseContentType": media_type}
        return self._boto.links().generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": self._path(key), **wanted}, ExpiresIn=min(seconds, _LINK_LIMIT_SECONDS)
        )

    def path(self, key: str) -> Path | None:
        checked_key(key)
        return None

    def probe(self) -> None:
        prove(self)

    def close(self) -> None:
        self._boto.close()

    @property
    def _obstore(self) -> S3Store:
        Runtime.check()
        return self._obstore_client

    @cached_property
    def _in_bulk(self) -> S3Store:
        """Made when first asked for: most processes never delete two objects at once."""
        Runtime.check()
        return obstore_client(self._session, self._location, deletes_in_bulk=True)

    def _path(self, key: str) -> str:
        return self._base + checked_key(key)

    def _require(self, key: str) -> None:
        if self.stat(key) is None:
            raise ObjectNotFound(detail=key)


def _chunks(body: StreamingBody, chunk_bytes: int) -> Iterator[bytes]:
    """First an empty one."""
    with contextlib.closing(body):
        yield b""
        with s3_refusals():
            while chunk := body.read(chunk_bytes):
                yield chunk
