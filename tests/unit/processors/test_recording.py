import io
import json
import stat
import wave

import pytest

from tests.readings import read
from worker.processors import recording
from worker.processors.base import Failed
from worker.processors.recording import RecordingProcessor


def sound(seconds=1.5, rate=8000):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(int(seconds * rate) * 2))
    return buffer.getvalue()


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """An ffprobe that answers what the test says, and keeps what it was asked."""

    def answers(answer, status=0):
        program = tmp_path / "ffprobe"
        (tmp_path / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/answer\necho broken >&2\nexit {status}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(recording, "ffprobe", str(program))
        return tmp_path / "asked"

    return answers


@pytest.mark.skipif(recording.ffprobe is None, reason="this system has no ffprobe")
def test_the_real_ffprobe_tells_length_and_kind():
    found = read(RecordingProcessor(), sound())
    assert found.extracted.duration_seconds == 1.5
    assert found.extracted.details == {
        "container": "wav",
        "streams": [{"codec_type": "audio", "codec_name": "pcm_s16le", "sample_rate": "8000", "channels": 1, "avg_frame_rate": "0/0", "bit_rate": "128000"}],
    }
    assert found.text is None


@pytest.mark.skipif(recording.ffprobe is None, reason="this system has no ffprobe")
@pytest.mark.parametrize("data", [b"no sound", b"", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", b"ffconcat version 1.0\nfile /etc/passwd\n"])
def test_damage_is_malformed_and_lists_of_other_files_are_not_followed(data):
    with pytest.raises(Failed) as failure:
        read(RecordingProcessor(), data)
    assert failure.value.code == "malformed"


def test_without_ffprobe_that_is_said(monkeypatch):
    monkeypatch.setattr(recording, "ffprobe", None)
    found = read(RecordingProcessor(), sound())
    assert (found.codes, found.extracted.duration_seconds) == (["not_probed"], None)


def test_the_whole_film(probe):
    cover = {"codec_type": "video", "codec_name": "mjpeg", "width": 600, "height": 600, "disposition": {"attached_pic": 1}}
    film = {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, "avg_frame_rate": "25/1", "index": 1}
    asked = probe(
        {"format": {"format_name": "mov,mp4", "duration": "61.2345", "tags": {"TITLE": " A\n film ", "artist": "A. Writer"}}, "streams": [cover, film]}
    )
    found = read(RecordingProcessor(), b"film").extracted
    assert (found.width, found.height, found.duration_seconds, found.document) == (1920, 1080, 61.234, {"title": "A film", "author": "A. Writer"})
    assert found.details["streams"][1] == {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, "avg_frame_rate": "25/1"}
    assert "-protocol_whitelist file" in asked.read_text()


@pytest.mark.parametrize("duration", [None, "N/A", "-1", "nan", "inf", "1e12", {}])
def test_a_length_that_is_none_is_left_out(duration, probe):
    probe({"format": {"duration": duration}, "streams": [{"codec_type": "audio"}]})
    assert read(RecordingProcessor(), b"x").extracted.duration_seconds is None


@pytest.mark.parametrize(("answer", "status"), [({"streams": []}, 0), ("{", 0), ({"streams": [{}]}, 1), ("", 0)])
def test_no_answer_is_malformed(answer, status, probe):
    probe(answer, status)
    with pytest.raises(Failed) as failure:
        read(RecordingProcessor(), b"x")
    assert failure.value.code == "malformed"
