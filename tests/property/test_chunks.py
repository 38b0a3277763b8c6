"""Whatever a text is: each chunk is what stands in it from its start to its end, and nothing but white space is left out."""

import json
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_plugin import CHUNKS, TEXT, Heading, Reading
from worker.chunks import cutting
from worker.chunks.cutting import Cut

WORDS = st.sampled_from(
    ["One", "Two words", "a", " ", "  \n", "\n\n", "\r\n", "\r", "Sentence. ", "猫が好き。", "👩\u200d🚀", "e\u0301", "\u2028", "\x85", "\0", "\f"]
)
TEXTS = st.lists(WORDS | st.text(max_size=5), max_size=60).map("".join)
HEADINGS = st.builds(Heading, st.sampled_from(["One", "Two words", "none of it", "—", ""]), st.integers(1, 3), st.none() | st.integers(1, 4))


def cut(pages, headings, characters, window):
    """The text, and its chunks, by page if there are several."""
    with TemporaryDirectory() as folder, Reading(Path(folder) / "source", "text/plain", Path(folder)) as reading:
        for page in pages:
            reading.write_page(page) if len(pages) > 1 else reading.write_text(page)
        reading.close()
        text = (reading.folder / TEXT).read_bytes().decode()
        files = tuple(name for name in (TEXT, "pages.jsonl") if (reading.folder / name).exists())
        with patch.object(cutting, "_WINDOW_CHARACTERS", window), patch.object(cutting, "_WINDOW_CHUNKS", 2):
            cutting.write(reading.folder, Cut(characters, len(text), files, tuple(headings)), lambda _: None)
        return text, [json.loads(line) for line in (reading.folder / CHUNKS).read_bytes().decode().split("\n")[:-1]]


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(HEADINGS, max_size=6), st.integers(1, 40), st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_spans_are_exact_and_nothing_is_lost(pages, headings, characters, window):
    text, chunks = cut(pages, headings, characters, window)
    for chunk in chunks:
        assert text[chunk["start"] : chunk["end"]] == chunk["text"]
        assert chunk["text"]
        assert len(chunk["text"]) <= characters
        assert "\f" not in chunk["text"]
        assert chunk["page"] == (text.count("\f", 0, chunk["start"]) + 1 if len(pages) > 1 else None)
    between = [0, *(at for chunk in chunks for at in (chunk["start"], chunk["end"])), len(text)]
    assert between == sorted(between)
    assert not any(text[begin:end].strip() for begin, end in list(pairwise(between))[::2])
