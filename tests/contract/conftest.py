"""The stores that the suites run over, and the servers behind them."""

from __future__ import annotations

import copy
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.folder import FolderObjectStore
from app.adapters.memory import MemoryObjectStore
from app.ports import ObjectStore
from devstack.ceph import RealS3
from tests.hiccups import Hiccups
from tests.memory_s3 import memory_s3
from tests.ports import free_port
from worker.pipeline.patience import Patience, PatientStore

KINDS = [
    "memory",
    "patient",
    "folder",
    "moto",
    pytest.param("rgw-http", marks=pytest.mark.s3),
    pytest.param("rgw-https", marks=pytest.mark.s3),
]
BUCKET = "headrace-contract"
_prefixes = (f"t{n}" for n in itertools.count())


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with memory_s3() as url:
        yield url


@pytest.fixture(scope="session")
def locations() -> dict[str, object]:
    """Kind of S3 -> its location with the bucket made, once for the session."""
    return {}


@pytest.fixture
def location_of(request: pytest.FixtureRequest, locations: dict[str, object]) -> Callable:
    """A place of its own in the bucket of that kind of S3."""

    def find(kind: str):
        from app.adapters.s3_client import S3Location, boto_client, boto_session

        if kind not in locations:
            if kind == "moto":
                url = request.getfixturevalue("moto_url")
                location = S3Location(BUCKET, "", url, "us-east-1", "any", "thing")
            else:
                real: RealS3 = request.getfixturevalue("real_s3")
                url = real.tls_endpoint_url if kind == "rgw-https" else real.endpoint_url
                location = S3Location(BUCKET, "", url, real.region, real.access_key_id, real.secret_access_key, None, real.ca_bundle)
            boto_client(boto_session(location), location, url).create_bucket(Bucket=BUCKET)
            locations[kind] = location
        return replace(locations[kind], prefix=next(_prefixes))

    return find


@pytest.fixture
def open_s3() -> Iterator[Callable]:
    from app.adapters.s3 import S3ObjectStore

    opened = []

    def open_at(location):
        opened.append(S3ObjectStore(location))
        return opened[-1]

    yield open_at
    for one in opened:
        one.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if kind == "memory":
        return MemoryObjectStore()
    if kind == "patient":
        return PatientStore(Hiccups(MemoryObjectStore()), Patience(5, lambda _: None))
    if kind == "folder":
        return FolderObjectStore(tmp_path / "store")
    return request.getfixturevalue("shared_s3")(kind)


@pytest.fixture(scope="session")
def opened() -> Iterator[dict[str, object]]:
    stores = {}
    yield stores
    for one in stores.values():
        one.close()


@pytest.fixture
def shared_s3(location_of: Callable, opened: dict) -> Callable:
    """A store with a place of its own, on clients that all tests share: making them takes longer than most tests."""
    from app.adapters.s3 import S3ObjectStore

    def share(kind: str) -> S3ObjectStore:
        location = location_of(kind)
        if kind not in opened:
            opened[kind] = S3ObjectStore(location)
        store = copy.copy(opened[kind])
        store._base = f"{location.prefix}/"
        return store

    return share


@pytest.fixture
def store_that_went_away(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if kind in {"memory", "patient"}:
        pytest.skip("memory does not go away")
    if kind == "folder":
        folder = FolderObjectStore(tmp_path / "store")
        shutil.rmtree(tmp_path / "store")
        return folder
    if kind != "moto":
        pytest.skip("a server that is not there is the same for all S3")
    location = replace(request.getfixturevalue("location_of")(kind), endpoint_url=f"http://127.0.0.1:{free_port()}")
    return request.getfixturevalue("open_s3")(location)
