"""The object store of a run: Ceph's gateway behind a valve, or a folder, which knows no outage. The audit looks at it directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.s3_client import S3Location, boto_client, boto_session
from app.adapters.storage import StorageSettings, open_store
from app.ports import ObjectStore
from devstack.ceph import Ceph, RealS3
from tests.chaos.valve import Valve

BUCKET = "headrace-chaos"


@dataclass(slots=True)
class Storage:
    settings: dict[str, str]
    """Of the fleet, which reaches the store through the valve where there is one."""
    store: ObjectStore
    valve: Valve | None = None
    bucket: Any = field(default=None, repr=False)
    """boto3's client, past the valve."""
    folder: Path | None = None

    def keys(self, prefix: str) -> Iterator[str]:
        after = ""
        while page := self.store.keys(prefix, after=after):
            yield from page
            after = page[-1]

    def unfinished(self) -> list[str]:
        """Multipart uploads and temporary files that nobody completed or aborted."""
        if self.bucket is not None:
            return [upload["Key"] for page in self.bucket.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET) for upload in page.get("Uploads", [])]
        assert self.folder is not None
        return [str(path.relative_to(self.folder)) for path in (self.folder / "+tmp").rglob("*") if path.is_file()]


@contextmanager
def in_folder(folder: Path) -> Iterator[Storage]:
    folder.mkdir(parents=True)
    store = open_store(StorageSettings(folder.as_uri()))
    try:
        yield Storage({"storage_url": folder.as_uri()}, store, folder=folder)
    finally:
        store.close()


@contextmanager
def in_ceph(s3: RealS3, prefix: str, *, seed: int) -> Iterator[Storage]:
    """Below `prefix` of a bucket that is made if it is not there."""
    location = S3Location(BUCKET, prefix, s3.endpoint_url, s3.region, s3.access_key_id, s3.secret_access_key)
    bucket = boto_client(boto_session(location), location, location.endpoint_url)
    bucket.create_bucket(Bucket=BUCKET)
    with Valve(s3.endpoint_url, seed=seed) as valve:
        url = f"s3://{BUCKET}/{prefix}"
        settings = {"storage_url": url, "s3_region": s3.region, "s3_access_key_id": s3.access_key_id, "s3_secret_access_key": s3.secret_access_key}
        store = open_store(StorageSettings(url, s3_endpoint_url=s3.endpoint_url, **{name: settings[name] for name in settings if name.startswith("s3_")}))
        try:
            yield Storage({**settings, "s3_endpoint_url": valve.url}, store, valve, bucket)
        finally:
            store.close()
            bucket.close()


@contextmanager
def own_ceph(folder: Path, *, seed: int) -> Iterator[Storage]:
    """With a Ceph of its own. Raises NotInstalled."""
    folder.mkdir(parents=True)
    with Ceph(folder) as s3, in_ceph(s3, "chaos", seed=seed) as storage:
        yield storage
