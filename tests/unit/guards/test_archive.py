import contextlib
import io
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import ProcessingFailed
from tests import documents
from worker.guards import archive
from worker.guards.limits import Unpacked

SMALL = Unpacked(free_bytes=10_000)


def check(data, limits=SMALL):
    return archive.check(io.BytesIO(data), len(data), limits)


def zipped(count=1, size=10, **more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(count):
            with file.open(f"m{number}", "w", **more) as member:
                member.write(bytes(size))
    return buffer.getvalue()


def overlapping():
    """Two entries of the directory that lead to the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", b"x" * 1000)
        file.writestr("b", b"x" * 1000)
        file.filelist[1].header_offset = file.filelist[0].header_offset
    return buffer.getvalue()


@pytest.mark.parametrize("data", [documents.docx(), documents.zipped({"a": b"b"}), zipped(0), zipped(100), zipped(force_zip64=True), b"MZ" * 50 + zipped(3)])
def test_ordinary_archives_pass(data):
    assert check(data) is None


def test_what_is_packed_well_passes_while_it_is_small():
    assert check(zipped(1, 9_000)) is None
    with pytest.raises(ProcessingFailed) as failure:
        check(zipped(1, 1_000_000))
    assert failure.value.code == "bomb"


@pytest.mark.parametrize("count", [1, 50])
def test_a_bomb_is_told_by_the_sum_of_all_members(count):
    with pytest.raises(ProcessingFailed, match="bytes of"):
        check(zipped(count, 5_000_000 // count))


def test_a_bomb_is_told_when_its_sizes_are_64_bits_long():
    with pytest.raises(ProcessingFailed, match="bytes of"):
        check(zipped(1, 5_000_000, force_zip64=True))


def test_members_that_lie_on_one_another_are_a_bomb():
    with pytest.raises(ProcessingFailed, match="lie on one another"):
        check(overlapping())


def test_a_crowd_is_kept_and_not_read():
    assert "11 members" in check(zipped(11), Unpacked(archive_entries=10))
    assert check(zipped(10), Unpacked(archive_entries=10)) is None


def test_a_directory_that_has_more_than_its_end_says_is_seen_all_the_same():
    data = bytearray(zipped(60, 100_000))
    at = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", data, at + 8, 1, 1)
    with pytest.raises(ProcessingFailed, match="bytes of"):
        check(bytes(data))


def test_what_is_large_without_being_a_bomb_is_kept_and_not_read():
    data = documents.zipped({"a": bytes(range(256)) * 8000})
    assert "of which 1 are read" in check(data, Unpacked(archive_bytes=1 << 20, ratio=10_000))


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x05\x06", zipped()[:-5], b"PK\x03\x04" + b"PK\x05\x06" * 20])
def test_what_makes_no_sense_is_left_to_the_parsers(data):
    assert check(data) is None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from([zipped(3), zipped(2, force_zip64=True), overlapping(), documents.docx()]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=20),
    st.integers(0, 5000),
)
def test_any_bytes_pass_or_are_refused(data, changes, cut):
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    with contextlib.suppress(ProcessingFailed):
        check(bytes(damaged[: max(1, len(damaged) - cut % 100)]))
