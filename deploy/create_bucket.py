"""Makes the bucket that HEADRACE_STORAGE_URL names, and proves that its store can hold the promise. One-shot; safe to repeat.

Run before the services: `python -m deploy.create_bucket`. The services' own probe asks one request after the other; some stores
pass that and still let two writers win at once, so here many create the same key together and exactly one may succeed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

WRITERS = 16
ROUNDS = 4


class Unfit(Exception):
    """The store must not be used. The text says why."""


def create(client: S3Client, bucket: str) -> bool:
    """Make the bucket. False when it is there already; raises ClientError when it is another's."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client.create_bucket(Bucket=bucket)
        return True
    return False


def winners(put: Callable[[], bool], writers: int = WRITERS) -> int:
    """How many of so many `put`s, all let go at once, say that they created the object."""
    start = Barrier(writers)

    def one(_: int) -> bool:
        start.wait()
        return put()

    with ThreadPoolExecutor(writers) as pool:
        return sum(pool.map(one, range(writers)))


def prove(client: S3Client, bucket: str, prefix: str) -> None:
    """Raises Unfit unless create-only has one winner each time. Leaves nothing behind."""
    for _ in range(ROUNDS):
        key = f"{prefix}probe/{uuid4()}"

        def put(key: str = key) -> bool:
            try:
                client.put_object(Bucket=bucket, Key=key, Body=b"probe", IfNoneMatch="*")
            except ClientError as error:
                # 409: a rival is at it (AWS); the one that is told so has not created anything.
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in {409, 412}:
                    return False
                raise
            return True

        try:
            count = winners(put)
        finally:
            client.delete_object(Bucket=bucket, Key=key)
        if count != 1:
            raise Unfit(f"{count} of {WRITERS} writers created the same key at once; the store does not keep If-None-Match: *")


def connect(settings: Settings) -> S3Client:
    secret = settings.s3_secret_access_key
    identity = settings.s3_access_key_id
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=identity.get_secret_value() if identity else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        verify=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,
        # No retries: a repeated PUT meets its own object and would count as a loser.
        config=Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=WRITERS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if settings.s3_endpoint_url else {},
        ),
    )


def location(settings: Settings) -> tuple[str, str]:
    """Bucket, and prefix with its slash. Raises SettingsError when HEADRACE_STORAGE_URL names none."""
    url = urlsplit(settings.storage_url)
    if url.scheme != "s3" or not url.netloc:
        raise SettingsError(f"HEADRACE_STORAGE_URL: {settings.storage_url!r} names no bucket")
    prefix = url.path.strip("/")
    return url.netloc, f"{prefix}/" if prefix else ""


def main() -> int:
    try:
        settings = load()
        bucket, prefix = location(settings)
        client = connect(settings)
        made = create(client, bucket)
        prove(client, bucket, prefix)
    except (SettingsError, Unfit, ClientError, BotoCoreError) as error:
        print(f"create_bucket: {error}", file=sys.stderr)  # noqa: T201 - the whole output of a one-shot
        return 1
    print(f"create_bucket: {bucket} {'made' if made else 'found'}, create-only holds")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
