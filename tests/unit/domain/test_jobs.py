import pytest

from app.domain.ids import ChannelId, SourceId, UploadId
from app.domain.jobs import Lane, lane_of
from app.domain.policy import MIB
from app.domain.source import InboxRecord

KIB = 1024


def a_record(size: int | None, filename: str = "a.pdf", declared: str | None = None) -> InboxRecord:
    return InboxRecord(
        source_uuid=SourceId("s"), ws_uuid=ChannelId("w"), upload=UploadId("u"), digest="d", size=size, filename=filename, declared_type=declared,
        base_url="http://h",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "filename", "declared", "lane"),
    [
        (0, "a.txt", None, Lane.FAST),
        (MIB, "a.txt", None, Lane.FAST),
        (MIB, "a.csv", "application/octet-stream", Lane.FAST),
        (MIB, "unnamed", "text/plain", Lane.FAST),
        (MIB + 1, "a.txt", None, Lane.SLOW),
        (256 * KIB, "a.pdf", None, Lane.FAST),
        (256 * KIB + 1, "a.pdf", None, Lane.SLOW),
        (256 * KIB + 1, "a.pdf", "text/plain", Lane.SLOW),
        (256 * KIB + 1, "unnamed", None, Lane.SLOW),
        (64 * MIB, "a.txt", None, Lane.SLOW),
        (64 * MIB + 1, "a.txt", None, Lane.BULK),
        (64 * MIB + 1, "a.pdf", None, Lane.BULK),
        (None, "a.txt", None, Lane.SLOW),
    ],
)
def test_the_lane_goes_by_size_and_by_what_the_file_claims_to_be(size, filename, declared, lane) -> None:
    assert lane_of(a_record(size, filename, declared)) is lane


def test_a_lanes_queue_has_its_name() -> None:
    assert [lane.queue for lane in Lane] == ["headrace.fast", "headrace.slow", "headrace.bulk"]
