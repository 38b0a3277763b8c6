"""The object store that HEADRACE_STORAGE_URL names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.adapters.folder import FolderObjectStore
from app.adapters.object_key import checked_prefix
from app.domain.errors import StoreUnfit
from app.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class StorageSettings:
    url: str
    s3_endpoint_url: str | None = None
    s3_region: str | None = None
    s3_access_key_id: str | None = field(default=None, repr=False)
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_public_endpoint_url: str | None = None
    s3_ca_bundle: str | None = None


def open_store(settings: StorageSettings) -> ObjectStore:
    """Raises StoreUnfit when the address makes no sense or the place cannot be used. Call it after the fork, once for each process."""
    url = urlsplit(settings.url)
    if url.query or url.fragment or "@" in url.netloc:
        raise StoreUnfit(detail="HEADRACE_STORAGE_URL: nothing but scheme, place and path; keys have settings of their own")
    if url.scheme == "file":
        if url.netloc not in {"", "localhost"} or not url.path.startswith("/") or "\0" in unquote(url.path):
            raise StoreUnfit(detail="HEADRACE_STORAGE_URL: a folder is written with its whole path, file:///var/lib/headrace")
        return FolderObjectStore(Path(unquote(url.path)))
    if url.scheme == "s3":
        return _open_bucket(settings, url.netloc, url.path.strip("/"))
    raise StoreUnfit(detail=f"HEADRACE_STORAGE_URL: file:///folder or s3://bucket/prefix, not {url.scheme or 'an address without a scheme'}")


def _open_bucket(settings: StorageSettings, bucket: str, prefix: str) -> ObjectStore:
    try:
        checked_prefix(f"{prefix}/" if prefix else "")
    except ValueError as error:
        raise StoreUnfit(detail=f"HEADRACE_STORAGE_URL: {error}") from error
    if not bucket:
        raise StoreUnfit(detail="HEADRACE_STORAGE_URL: s3:// needs a bucket")
    for name in ("s3_endpoint_url", "s3_public_endpoint_url"):
        endpoint = getattr(settings, name)
        if endpoint and (urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname):
            raise StoreUnfit(detail=f"HEADRACE_{name.upper()}: an http:// or https:// address, not {endpoint!r}")

    # Here, so that a stack on a folder does not pay for boto3 (0.2 s and 30 MB).
    from app.adapters.s3 import S3ObjectStore  # noqa: PLC0415
    from app.adapters.s3_client import S3Location  # noqa: PLC0415

    return S3ObjectStore(
        S3Location(
            bucket=bucket,
            prefix=prefix,
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=settings.s3_secret_access_key,
            public_endpoint_url=settings.s3_public_endpoint_url,
            ca_bundle=settings.s3_ca_bundle,
        )
    )
