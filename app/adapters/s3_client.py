"""The two clients of one bucket, set up alike: boto3 for control, listing by level, links and streams; obstore for single small requests.

obstore costs a seventh of boto3's CPU on a 10 KB PUT. Its runtime does not survive a fork: a child that inherits it hangs at the first
call. So both are made after the fork, and `Runtime` is how a child finds out that it came too late.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.store import S3Store

from app.domain.errors import StoreUnfit

if TYPE_CHECKING:
    from obstore.store import ClientConfig
    from types_boto3_s3 import S3Client

_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_REQUEST_SECONDS = 30
_TRIES = 3
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class S3Location:
    """A part of a bucket, and how to get there. Without keys AWS's own credential chain is asked; without an endpoint it is AWS."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    public_endpoint_url: str | None = None
    """What clients of ours call the endpoint: links are made with it."""
    ca_bundle: str | None = None
    """File of the authorities that vouch for the endpoint. Authorities: a server's self-signed certificate will not do (rustls)."""


class Runtime:
    """obstore's, with one thread. It is of the process in which it has run first; no other may use it."""

    pid: int | None = None

    @classmethod
    def check(cls) -> None:
        """Raises StoreUnfit in a process that was forked from one that had used S3."""
        if cls.pid is None:
            cls.pid = os.getpid()
            # Small requests are nothing for one thread of it, and handing them from core to core costs an eighth of their CPU.
            os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
        if cls.pid != os.getpid():
            raise StoreUnfit(detail="S3 was used before this process was forked; make the store in the child, and none in its parent")


def boto_session(location: S3Location) -> boto3.Session:
    session = boto3.Session(location.access_key_id, location.secret_access_key, region_name=location.region)
    if session.get_credentials() is None:
        raise StoreUnfit(detail="no credentials for S3: set HEADRACE_S3_ACCESS_KEY_ID and HEADRACE_S3_SECRET_ACCESS_KEY, or any of AWS's own ways")
    return session


def boto_client(session: boto3.Session, location: S3Location, endpoint_url: str | None) -> S3Client:
    """Bodies go unsigned where nobody can change them on the way, under TLS or within this machine: that saves a third of the CPU.

    Checksums only where S3 demands them: the default is a trailer that servers other than AWS refuse, and only over https.
    """
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint_url else "auto", "payload_signing_enabled": not _is_private(endpoint_url)},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        max_pool_connections=_CONNECTIONS,
    )
    region = session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=endpoint_url, region_name=region, verify=location.ca_bundle, config=config)


class BotoClients:
    """boto3's clients, made when first asked for: that takes 50 ms and more, and whoever handles small objects only never does."""

    def __init__(self, session: boto3.Session, location: S3Location) -> None:
        self._session, self._location = session, location
        self._made: dict[str | None, S3Client] = {}
        self._lock = threading.Lock()

    def control(self) -> S3Client:
        """Raises StoreUnfit."""
        return self._get(self._location.endpoint_url)

    def links(self) -> S3Client:
        """For presigning: knows the address that clients of ours use. Raises StoreUnfit."""
        return self._get(self._location.public_endpoint_url or self._location.endpoint_url)

    def close(self) -> None:
        with self._lock:
            for client in self._made.values():
                client.close()
            self._made.clear()

    def _get(self, endpoint_url: str | None) -> S3Client:
        Runtime.check()
        with self._lock:  # a session makes one client at a time
            if endpoint_url not in self._made:
                try:
                    self._made[endpoint_url] = boto_client(self._session, self._location, endpoint_url)
                except (ValueError, OSError) as error:
                    raise StoreUnfit(detail=f"S3: {error}") from error
            return self._made[endpoint_url]


def obstore_client(session: boto3.Session, location: S3Location, *, deletes_in_bulk: bool = False) -> S3Store:
    """Its small bodies are signed everywhere: it costs nothing that shows, and the server checks the digest.

    In bulk, one object is deleted at three times the CPU of a DELETE, and many with one request.
    """
    options: ClientConfig = {"connect_timeout": timedelta(seconds=_CONNECT_SECONDS), "timeout": timedelta(seconds=_REQUEST_SECONDS)}
    if location.ca_bundle:
        options["root_certificate"] = Path(location.ca_bundle).read_bytes()
    where: dict[str, Any] = {}
    if location.endpoint_url:
        where["endpoint"] = location.endpoint_url
        options["allow_http"] = location.endpoint_url.startswith("http:")
    return S3Store(
        location.bucket,
        region=session.region_name or "us-east-1",
        virtual_hosted_style_request=False,
        disable_bulk_delete=not deletes_in_bulk,
        credential_provider=Boto3CredentialProvider(session),
        client_options=options,
        retry_config={"max_retries": _TRIES - 1, "retry_timeout": timedelta(seconds=_READ_SECONDS)},
        **where,
    )


def _is_private(endpoint_url: str | None) -> bool:
    parts = urlsplit(endpoint_url or "https://aws")
    try:
        return parts.scheme == "https" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
