"""Multipart uploads in a bucket that nobody completed or aborted: their parts are stored, and paid for, until somebody removes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from app.adapters.s3_refusal import refusal, s3_refusals

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def drop_abandoned(client: S3Client, bucket: str, prefix: str, before: datetime) -> int:
    """Abort those below `prefix` to which nothing came since. A slow one that began long ago is kept as long as parts come. Raises Unavailable."""
    dropped = 0
    with s3_refusals():
        for upload in _uploads(client, bucket, prefix):
            named = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            try:
                if upload["Initiated"] < before and _touched(client, named, upload["Initiated"]) < before:
                    client.abort_multipart_upload(**named)
                    dropped += 1
            except ClientError as error:
                if refusal(error)[1] != "NoSuchUpload":  # else it was completed or aborted meanwhile
                    raise
    return dropped


def _uploads(client: S3Client, bucket: str, prefix: str) -> Iterator[Any]:
    position: dict[str, Any] = {}
    while True:
        page = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **position)
        yield from page.get("Uploads", ())
        if not page.get("IsTruncated"):
            return
        position = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _touched(client: S3Client, named: dict[str, Any], initiated: datetime) -> datetime:
    """When the last part came; else when it began."""
    newest = initiated
    for page in client.get_paginator("list_parts").paginate(**named):
        newest = max([newest, *(part["LastModified"] for part in page.get("Parts", ()))])
    return newest
