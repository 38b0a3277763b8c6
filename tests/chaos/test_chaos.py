"""A short run of `make chaos`, with leases of seconds: everything dies once at least, and nothing is lost, doubled, contradicted or left."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.ceph import RealS3
from tests.chaos.campaign import SHORT_TERMS, Campaign, Terms
from tests.chaos.storage import Storage, in_ceph, in_folder

pytestmark = pytest.mark.timeout(300)


def assert_whole(folder: Path, storage: Storage) -> None:
    terms = Terms(seconds=25, rate=4, seed=7, outage_seconds=3, settle_seconds=120, settings=SHORT_TERMS)
    report = Campaign(folder, storage, terms).run()
    print(report.text)
    assert [violation.kind for violation in report.violations] == []


def test_nothing_is_lost_or_doubled_whatever_dies(tmp_path: Path) -> None:
    with in_folder(tmp_path / "store") as storage:
        assert_whole(tmp_path, storage)


@pytest.mark.s3
def test_nor_when_the_store_is_away_or_refuses(tmp_path: Path, real_s3: RealS3) -> None:
    with in_ceph(real_s3, "short", seed=7) as storage:
        assert_whole(tmp_path, storage)
