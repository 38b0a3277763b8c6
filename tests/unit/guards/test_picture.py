import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ProcessingFailed
from tests import documents
from worker.guards import picture
from worker.guards.limits import Unpacked

WIDE, HIGH = 300, 200


def headers(width, height):
    """The beginnings of pictures of that size."""
    vp8l = struct.pack("<I", (width - 1) | (height - 1) << 14)
    vp8x = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    entries = struct.pack(">H", 2) + struct.pack(">HHIHH", 256, 3, 1, width, 0) + struct.pack(">HHII", 257, 4, 1, height)
    little = struct.pack("<H", 2) + struct.pack("<HHII", 256, 4, 1, width) + struct.pack("<HHIHH", 257, 3, 1, height, 0)
    return {
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBB", width, height, 8, 2),
        "gif": b"GIF89a" + struct.pack("<HH", width, height),
        "bmp": b"BM" + bytes(16) + struct.pack("<iiHH", width, -height, 1, 24),
        "webp": b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", width, height),
        "webp, lossless": b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + vp8l + bytes(5),
        "webp, extended": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + vp8x,
        "jpeg": b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xff\xc4\0\2\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width),
        "tiff": b"MM\0*\0\0\0\x08" + entries,
        "tiff, little": b"II*\0\x08\0\0\0" + little,
    }


def check(data, size, **limits):
    return picture.check(io.BytesIO(data), size, Unpacked(**limits))


@pytest.mark.parametrize("kind", headers(1, 1))
def test_pixels_are_counted_in_each_format(kind):
    data = headers(WIDE, HIGH)[kind]
    assert check(data, 10_000, pixels=WIDE * HIGH) is None
    assert check(data, 10_000, pixels=WIDE * HIGH - 1).endswith(f"of which {WIDE * HIGH - 1} are read at most")
    with pytest.raises(ProcessingFailed) as failure:
        check(data, 500, pixels=WIDE * HIGH - 1)
    assert failure.value.code == "bomb"


def test_a_large_photograph_is_no_bomb():
    photo = headers(16_000, 12_000)["jpeg"]
    assert "are read at most" in check(photo, 60_000_000)


def test_the_tests_own_picture_passes():
    data = documents.png(20, 20)
    assert check(data, len(data)) is None


@pytest.mark.parametrize("data", [b"", b"plain words", *(data[:-4] for data in headers(60_000, 60_000).values()), b"\xff\xd8\xff" * 9])
def test_what_is_no_picture_or_is_cut_in_its_header_is_left_to_the_parsers(data):
    assert check(data, 1) is None


@given(st.sampled_from(list(headers(60_000, 60_000).values())), st.binary(max_size=40), st.integers(0, 40))
def test_any_bytes_pass_or_are_refused(data, noise, at):
    damaged = data[:at] + noise + data[at + len(noise) :]
    with contextlib.suppress(ProcessingFailed):
        check(damaged, len(damaged))
