import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ProcessingFailed
from worker.isolation import lines
from worker.isolation.lines import Lines
from worker.isolation.parser import Progress


@pytest.fixture
def pipe():
    out, into = os.pipe()
    yield Lines(out), lambda *messages: os.write(into, b"".join(json.dumps(each).encode() + b"\n" for each in messages)), lambda: os.close(into)
    os.close(out)


def told(done):
    return {"progress": {"done": done, "total": 9, "unit": "pages"}}


def test_the_latest_progress_of_what_has_come_counts(pipe):
    child, say, close = pipe
    assert child.take() is None
    say(told(1), told(2))
    assert child.take() == Progress(2, 9, "pages")
    assert (child.take(), child.has_ended) == (None, False)
    close()
    assert (child.take(), child.has_ended, child.last) == (None, True, {})


@pytest.mark.parametrize("last", [{"answer": None}, {"thumbnail": None}, {"failed": {"code": "crash"}}])
def test_the_last_word_ends_it_though_the_pipe_is_open(pipe, last):
    child, say, close = pipe
    say(told(1), last)
    assert child.take() == Progress(1, 9, "pages")
    assert (child.has_ended, child.last) == (True, last)
    close()


def test_too_much_is_a_crash(pipe, monkeypatch):
    child, say, close = pipe
    monkeypatch.setattr(lines, "_BYTES", 100)
    say("x" * 200)
    close()
    with pytest.raises(ProcessingFailed) as failure:
        child.take()
    assert failure.value.code == "crash"


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_a_crash(noise):
    out, into = os.pipe()
    try:
        os.write(into, noise + b"\n")
        os.close(into)
        try:
            Lines(out).take()
        except ProcessingFailed as failure:
            assert failure.code == "crash"  # noqa: PT017 - it may also pass
    finally:
        os.close(out)
