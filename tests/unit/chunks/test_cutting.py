import io
import json
import tracemalloc

import pytest

from headrace_plugin import CHUNKS, MARKDOWN, PAGES, TEXT, Heading, Reading
from worker.chunks import cutting
from worker.chunks.cutting import Cut, write


@pytest.fixture
def reading(tmp_path):
    return Reading(tmp_path / "source", "text/plain", tmp_path)


def chunks(reading, *outline, characters=100, told=None):
    """Of what was written, as they stand in the file."""
    reading.close()
    folder = reading.folder
    files = tuple(name for name in (TEXT, PAGES, MARKDOWN) if (folder / name).exists())
    whole = (folder / TEXT).read_bytes().decode()
    number = write(folder, Cut(characters, len(whole), files, outline), (told if told is not None else []).append)
    made = [json.loads(line) for line in (folder / CHUNKS).read_text(encoding="utf-8").split("\n")[:-1]]
    assert [each["chunk"] for each in made] == list(range(1, number + 1))
    assert all(whole[each["start"] : each["end"]] == each["text"] for each in made)
    return made


def test_sentences_and_paragraphs_stay_whole_where_they_fit(reading):
    reading.write_text("One sentence. Another one! A third?\n\nThe next paragraph is here, and is longer. It has two sentences.")
    assert [each["text"] for each in chunks(reading, characters=50)] == [
        "One sentence. Another one! A third?",
        "The next paragraph is here, and is longer.",
        "It has two sentences.",
    ]


def test_a_chunk_is_on_one_page_and_says_which(reading):
    for page in ("first", "", "third\fstill third"):
        reading.write_page(page)
    assert [(each["page"], each["text"]) for each in chunks(reading)] == [(1, "first"), (3, "third\nstill third")]


def test_a_text_that_has_no_pages_says_none_and_is_cut_at_its_form_feeds(reading):
    reading.write_text("one\ftwo")
    assert [(each["page"], each["text"]) for each in chunks(reading)] == [(None, "one"), (None, "two")]


def test_pages_that_do_not_count_up_are_not_told(reading):
    """A command of somebody else's may write its text as it likes."""
    reading.write_text("one\ftwo\fthree")
    (reading.folder / PAGES).write_text('{"page": 1}\n{"page": 2}')
    assert {each["page"] for each in chunks(reading, Heading("two", 1, 2))} == {None}


def test_a_text_that_was_cut_on_a_page_keeps_its_pages(reading):
    reading.write_page("one")
    (reading.folder / PAGES).write_text('{"page": 1}\n{"page": 2}\n')
    assert [each["page"] for each in chunks(reading)] == [1]


def test_a_chunk_is_in_one_section_and_says_which(reading):
    reading.write_text("One\n\nwords\n\nTwo\n\nmore words")
    reading.write_markdown("# One\n\nwords\n\n## Two\n\nmore words")
    assert [(each["headings"], each["text"]) for each in chunks(reading)] == [(["One"], "One\n\nwords"), (["One", "Two"], "Two\n\nmore words")]


def test_the_outline_counts_where_the_markdown_has_no_headings(reading):
    reading.write_page("Cover")
    reading.write_page("One\nwords")
    reading.write_markdown("no heading")
    assert [(each["headings"], each["page"]) for each in chunks(reading, Heading("One", 1, 2))] == [([], 1), (["One"], 2)]


def test_tokens_are_estimated_by_the_bytes(reading):
    reading.write_text("x" * 41)
    assert [each["tokens"] for each in chunks(reading)] == [11]
    reading.reset()
    reading.write_text("猫" * 4)
    assert [each["tokens"] for each in chunks(reading)] == [3]


@pytest.mark.parametrize("text", ["", " \n\f\n\t"])
def test_white_space_makes_no_chunk(reading, text):
    reading.write_text(text)
    assert chunks(reading) == []


def test_windows_do_not_show(reading, monkeypatch):
    text = " ".join(f"This is sentence {number}, which is here." for number in range(2000))
    reading.write_text(text)
    whole = chunks(reading, characters=300)
    monkeypatch.setattr(cutting, "_WINDOW_CHARACTERS", 2400)
    assert chunks(reading, characters=300) == whole
    assert len(whole) > 200


def test_what_a_reading_left_in_the_place_of_the_chunks_is_not_written_to(reading, tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / CHUNKS).symlink_to(tmp_path / "elsewhere")
    reading.write_text("words")
    assert len(chunks(reading)) == 1
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_it_tells_how_far_it_is(reading):
    told = []
    reading.write_text("word " * 6000)
    chunks(reading, told=told)
    assert [each["progress"]["total"] for each in told] == [30_000] * 3
    assert [each["progress"]["done"] for each in told] == sorted(each["progress"]["done"] for each in told)


class Endless(io.TextIOBase):
    """A text of so many lines, made as it is read."""

    def __init__(self, lines):
        self._left = lines

    def read(self, size=-1):
        line = "A sentence that is repeated. "
        take = min(self._left, max(1, size // len(line)))
        self._left -= take
        return (line * take).ljust(size) if take else ""

    def readline(self, size=-1):
        return self.read(size)


def test_a_text_is_never_whole_in_memory():
    tracemalloc.start()
    try:
        number = sum(1 for _ in cutting.chunks(Endless(1_000_000), iter(()), characters=2000, has_pages=False))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number > 10_000
    assert peak < 4 << 20, "of 28 MiB"
