import random
import shutil
import subprocess

import pytest

from app.domain import media
from worker.processors.frames import sound
from worker.processors.sniffing import sniff

FFMPEG = shutil.which("ffmpeg")

# a frame's head, its length in bytes, the media type
FRAMES = [
    (b"\xff\xfb\x90\x00", 417, "audio/mpeg"),  # MPEG 1 layer III, 128 kbit/s, 44.1 kHz
    (b"\xff\xfb\x92\x00", 418, "audio/mpeg"),  # the same, padded
    (b"\xff\xfb\x54\x00", 192, "audio/mpeg"),  # 64 kbit/s, 48 kHz
    (b"\xff\xfd\xe0\x00", 1253, "audio/mpeg"),  # MPEG 1 layer II, 384 kbit/s, 44.1 kHz
    (b"\xff\xff\xc4\x00", 384, "audio/mpeg"),  # MPEG 1 layer I, 384 kbit/s, 48 kHz
    (b"\xff\xf3\x84\x00", 192, "audio/mpeg"),  # MPEG 2 layer III, 64 kbit/s, 24 kHz
    (b"\xff\xe3\x40\x00", 208, "audio/mpeg"),  # MPEG 2.5 layer III, 32 kbit/s, 11.025 kHz
    (b"\xff\xf1\x50\x40\x21\xa0", 269, "audio/aac"),
    (b"\x56\xe1\x0a\x20", 269, "audio/x-mp4a-latm"),
    (b"\x0b\x77\x00\x00\x14\x40", 768, "audio/ac3"),  # 192 kbit/s, 48 kHz
    (b"\x0b\x77\x00\x00\x49\x40", 280, "audio/ac3"),  # 64 kbit/s, 44.1 kHz, the longer of two
    (b"\x0b\x77\x00\x00\x80\x40", 192, "audio/ac3"),  # 32 kbit/s, 32 kHz
    (b"\x0b\x77\x00\xcf\x3f\x80", 416, "audio/eac3"),
]


@pytest.mark.parametrize(("head", "length", "media_type"), FRAMES, ids=[head.hex() for head, _, _ in FRAMES])
def test_three_frames_in_a_row_are_sound_and_fewer_or_displaced_are_not(head, length, media_type):
    frame = head.ljust(length, b"\x55")
    assert sound(frame * 3) == media_type
    assert sound(frame * 2 + b"\x55" * length) is None
    assert sound(b"\x55" + frame * 3) is None
    assert sound((frame + b"\x55") * 3) is None
    assert sound(frame[:-1] * 3) is None


@pytest.mark.parametrize(
    "head",
    [b"\xff\xfb\x00\x00", b"\xff\xfb\xf0\x00", b"\xff\xfb\x9c\x00", b"\xff\xeb\x90\x00", b"\xff\xf9\x90\x00", b"\xff\xf1\x50\x40\x00\x00",
     b"\xff\xf1\x7c\x40\x21\xa0", b"\x56\xe0\x00", b"\x0b\x77\x00\x00\xc0\x40", b"\x0b\x77\x00\x00\x26\x40", b"\x0b\x77\x00\xcf\x3f\x88"],
    ids=bytes.hex,
)  # fmt: skip
def test_a_head_that_no_standard_has_begins_no_frame(head):
    assert all(sound((head.ljust(length, b"\0")) * 3) is None for length in range(len(head), 1500))


@pytest.mark.parametrize("mark", [b"", b"\xff\xfb", b"\xff\xf1", b"\x56\xe1", b"\x0b\x77", b"\xf0\x4a", b"\xb8\x2e", b"\xe9\x12"], ids=bytes.hex)
def test_noise_is_no_recording_and_no_program_however_it_begins(mark, tmp_path):
    noise = random.Random(mark)
    path = tmp_path / "source"
    found = set()
    for _ in range(1000):
        path.write_bytes(mark + noise.randbytes(1024))
        found.add(sniff(path, "big.bin"))
    assert media.UNKNOWN in found
    assert not [each for each in found if each.startswith(("audio/", "video/", "image/")) or each == "application/x-dosexec"]


@pytest.mark.skipif(FFMPEG is None, reason="this system has no ffmpeg")
@pytest.mark.parametrize(
    ("ending", "arguments", "media_type"),
    [
        *(("mp3", ["-ar", rate, "-b:a", "64k", "-id3v2_version", "0"], "audio/mpeg") for rate in ("44100", "22050", "11025")),
        ("mp2", [], "audio/mpeg"),
        ("aac", [], "audio/aac"),
        ("latm", [], "audio/x-mp4a-latm"),
        ("ac3", [], "audio/ac3"),
        ("eac3", [], "audio/eac3"),
    ],
)
def test_what_an_encoder_writes_is_known_without_its_name(ending, arguments, media_type, tmp_path):
    path = tmp_path / f"sound.{ending}"
    made = subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=440:duration=1", *arguments, path], capture_output=True, check=False, timeout=60)
    if made.returncode:
        pytest.skip(f"this ffmpeg has no encoder for {ending}")
    assert sniff(path, "big.bin") == media_type
