from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.memory_s3 import memory_s3
from tests.servers import Valkey
from tests.stack import Origin


class Bucket:
    """One of moto's: it keeps no promise but to be there, so a process has to be told to take it. `settings` name it."""

    NAME = "headrace-faults"

    def __init__(self, url: str) -> None:
        self.settings = {
            "storage_url": f"s3://{self.NAME}/x", "s3_endpoint_url": url, "s3_region": "us-east-1", "s3_access_key_id": "any",
            "s3_secret_access_key": "thing", "unsafe_store": "true",
        }  # fmt: skip
        self._client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="thing")
        self._client.create_bucket(Bucket=self.NAME)

    def objects(self) -> list[str]:
        return [each["Key"] for each in self._client.list_objects_v2(Bucket=self.NAME).get("Contents", [])]

    def transfers(self) -> int:
        """Multipart uploads that were begun and not ended."""
        return len(self._client.list_multipart_uploads(Bucket=self.NAME).get("Uploads", []))

    def close(self) -> None:
        for key in self.objects():
            self._client.delete_object(Bucket=self.NAME, Key=key)
        self._client.delete_bucket(Bucket=self.NAME)
        self._client.close()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with memory_s3() as url:
        made = Bucket(url)
        yield made
        made.close()


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture
def redis() -> Iterator[Valkey]:
    """A Redis of the test's own, so that it can be stopped, wiped and killed."""
    with Valkey(aof=True) as running:
        yield running
