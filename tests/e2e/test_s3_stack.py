"""The same stack on a real S3: `make up STORAGE=s3://…`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.s3_client import S3Location, boto_client, boto_session
from devstack.ceph import RealS3
from tests.client import ends
from tests.documents import pdf
from tests.stack import Stack

BUCKET = "headrace-e2e"


@pytest.fixture(scope="module", params=["http", "https"])
def stack(request: pytest.FixtureRequest, real_s3: RealS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    url = real_s3.endpoint_url if request.param == "http" else real_s3.tls_endpoint_url
    location = S3Location(BUCKET, "", url, real_s3.region, real_s3.access_key_id, real_s3.secret_access_key, None, real_s3.ca_bundle)
    boto_client(boto_session(location), location, url).create_bucket(Bucket=BUCKET)
    settings = {
        "storage_url": f"s3://{BUCKET}/{request.param}",
        "s3_endpoint_url": url,
        "s3_region": real_s3.region,
        "s3_access_key_id": real_s3.access_key_id,
        "s3_secret_access_key": real_s3.secret_access_key,
    }
    if request.param == "https":
        settings["s3_ca_bundle"] = str(real_s3.ca_bundle)
    running = Stack(tmp_path_factory.mktemp("stack"), **settings).start()
    yield running
    running.stop()


@pytest.mark.s3
def test_an_upload_on_a_real_s3_from_end_to_end(stack: Stack, real_s3: RealS3) -> None:
    document = pdf(["Kept in a bucket"])
    with stack.client() as client:
        channel = client.register()
        source = client.upload(channel, document, filename="a.pdf")
        events = client.watch(channel)
        assert [end["status"] for end in ends(events)] == ["success"]
        assert "Kept in a bucket" in events[-1]["result"]["text"]["preview"]
        answer = client.http.get(events[-1]["result"]["url"])
        assert answer.status_code == 302
        assert answer.headers["location"].startswith((real_s3.endpoint_url, real_s3.tls_endpoint_url))
        assert client.try_upload(channel, source, b"other bytes").status_code == 409
        assert client.http.delete(f"/public/sources/{source}").status_code == 204
        assert client.http.get(f"/public/sources/{source}").status_code == 404


@pytest.mark.s3
def test_a_large_upload_goes_in_parts(stack: Stack) -> None:
    body = bytes(range(256)) * (70 * 1024)
    with stack.client() as client:
        channel, source = client.register(), str(uuid.uuid4())
        client.upload(channel, body, source=source, filename="big.bin")
        result = client.wait(source)["result"]
    assert (result["size"], result["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


@pytest.mark.s3
def test_a_store_of_another_deployment_is_refused(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other", deployment="other")
    other.environ |= {name: value for name, value in stack.environ.items() if "S3" in name or "STORAGE" in name}
    with pytest.raises(RuntimeError, match="belongs to deployment"):
        other.start()
