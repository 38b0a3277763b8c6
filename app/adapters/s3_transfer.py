"""One object on its way into a bucket: a multipart upload whose parts are sent by whoever has them."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from app.adapters.parts import Parts
from app.adapters.s3_refusal import s3_refusals
from app.domain.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

_MARK = "headrace-transfer"


class S3Transfer:
    """The object carries the transfer's mark as metadata, so that looking at it tells whether a completion without an answer happened."""

    def __init__(self, client: S3Client, bucket: str, key: str, part_bytes: int, media_type: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._parts: Parts[str] = Parts(part_bytes)
        self._mark = secrets.token_hex(16)
        self._done = self._aborted = False
        with s3_refusals():
            made = client.create_multipart_upload(Bucket=bucket, Key=key, ContentType=media_type, Metadata={_MARK: self._mark})
        self._upload = made["UploadId"]

    def put_part(self, number: int, body: bytes | bytearray | memoryview) -> None:
        self._parts.check(number, len(body))
        self._require_open()
        # boto3 takes no view; what is bytes or bytearray already goes without a copy.
        content = bytes(body) if isinstance(body, memoryview) else body
        try:
            with s3_refusals():
                sent = self._client.upload_part(Bucket=self._bucket, Key=self._key, UploadId=self._upload, PartNumber=number, Body=cast("bytes", content))
        finally:
            if self._is_aborted():
                self.abort()  # S3 keeps a part that was under way when the upload was aborted
        self._parts.add(number, len(body), sent["ETag"])

    def complete(self) -> None:
        if self._done:
            return
        tags = self._parts.in_order()
        if not tags:
            self.put_part(1, b"")  # S3 has no object without parts
            tags = self._parts.in_order()
        parts: list[CompletedPartTypeDef] = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
        try:
            with s3_refusals():
                self._client.complete_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload, MultipartUpload={"Parts": parts})
        except Unavailable:
            # Also NoSuchUpload: the client library retries by itself, and finds that its first request had been heard.
            if not self._is_there():
                raise
        self._done = True

    def abort(self) -> None:
        self._aborted = True
        if not self._done:
            with contextlib.suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)

    def _is_aborted(self) -> bool:
        """By whichever thread, a moment ago."""
        return self._aborted

    def _require_open(self) -> None:
        if self._aborted:
            raise Unavailable("storage_failed", "the transfer was aborted")

    def _is_there(self) -> bool:
        with contextlib.suppress(Unavailable), s3_refusals():
            return self._client.head_object(Bucket=self._bucket, Key=self._key)["Metadata"].get(_MARK) == self._mark
        return False
