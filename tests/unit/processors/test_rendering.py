import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.readings import read
from worker.processors.base import BuiltIn, Extracted, Limits
from worker.processors.blocks import Heading, Item, Page, Paragraph, Preformatted, Span, Table, cropped, plain, tidy, words
from worker.processors.rendering import write


def written(*blocks, **limits):
    class Processor(BuiltIn):
        def process(self, reading):
            return Extracted(outline=write(iter(blocks), reading))

    return read(Processor(), b"", limits=Limits(**limits))


def markdown(*spans):
    return written(Paragraph(spans)).markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# no heading", "\\# no heading"), ("- no item", "\\- no item"), ("+ no", "\\+ no"), ("12. no", "12\\. no"), ("1) no", "1\\) no"), ("---", "\\---"),
        ("a - b # c", "a - b # c"), ("-5 and 1.5", "-5 and 1.5"), ("*a* _b_ `c` [d](e) <f>", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\<f\\>"), ("> no quote", "\\> no quote"),
        ("one\ntwo", "one\\\ntwo"), ("back\\slash", "back\\\\slash"),
    ],
)  # fmt: skip
def test_text_never_becomes_structure(text, expected):
    assert markdown(Span(text)) == expected


def test_manners_stand_close_to_their_words():
    assert markdown(Span("a "), Span("loud ", bold=True), Span("soft", italic=True), Span(" both", bold=True, italic=True)) == "a **loud** *soft* ***both***"
    assert markdown(Span("x", code=True), Span(" "), Span("a`b", code=True)) == "`x` a\\`b"
    assert markdown(Span("here", link="http://a/ (b)<c>")) == "[here](http://a/%20%28b%29%3Cc%3E)"


def test_a_fence_is_longer_than_those_in_it():
    assert written(Preformatted("a\n````\nb")).markdown == "`````\na\n````\nb\n`````"


def test_the_head_of_a_table_is_as_wide_as_its_widest_row():
    found = written(Table((("a",), ("b", "c", "d"))))
    assert (found.markdown, found.text) == ("| a |  |  |\n| --- | --- | --- |\n| b | c | d |", "a\nb\tc\td")


def test_pages_begin_with_the_first_block():
    found = written(Page("One"), Heading(1, plain("A")), Page(), Page("Three"), Paragraph(plain("b")))
    assert found.pages == [{"page": 1, "text": "A", "label": "One"}, {"page": 2, "text": ""}, {"page": 3, "text": "b", "label": "Three"}]
    assert (found.text, found.markdown) == ("A\f\fb", "# A\n\nb")
    assert found.extracted.outline[0].page == 1
    with pytest.raises(ValueError, match="pages"):
        written(Paragraph(plain("a")), Page())


def test_no_block_is_asked_for_when_there_is_text_enough():
    def blocks():
        for _ in range(3):
            yield Paragraph(plain("words" * 10))
        pytest.fail("asked for more")

    class Processor(BuiltIn):
        def process(self, reading):
            write(blocks(), reading)
            return Extracted()

    found = read(Processor(), b"", limits=Limits(text_characters=120))
    assert (len(found.text), found.codes) == (120, ["truncated"])


def test_a_page_too_many_is_not_begun():
    found = written(*[block for n in range(9) for block in (Page(), Paragraph(plain(str(n))))], pages=3)
    assert (found.text, found.codes) == ("0\f1\f2", ["truncated"])


@given(st.lists(st.builds(Span, st.text("ab \n", max_size=5), bold=st.booleans()), max_size=8))
def test_tidy_keeps_the_words(spans):
    found = tidy(spans)
    assert words(found) == words(tuple(spans)).strip()
    assert all(span.text for span in found)
    assert all(a.bold != b.bold for a, b in pairwise(found))


@given(st.dictionaries(st.tuples(st.integers(0, 10**6), st.integers(0, 16383)), st.text("ab", min_size=1, max_size=3), min_size=1, max_size=20))
def test_a_cropped_table_has_every_cell_and_no_more_rows_and_columns_than_cells(cells):
    rows = cropped(cells).rows
    assert [text for row in rows for text in row if text] == [text for _, text in sorted(cells.items())]
    assert len(rows) <= len(cells)
    assert max(len(row) for row in rows) <= len(cells)


@given(st.lists(st.one_of(
    st.builds(Heading, st.integers(1, 9), st.text(max_size=20).map(plain)), st.builds(Paragraph, st.text(max_size=20).map(plain), st.booleans()),
    st.builds(Item, st.integers(0, 8), st.text(max_size=20).map(plain), st.none() | st.integers(0, 99)),
    st.builds(Table, st.lists(st.lists(st.text(max_size=5), max_size=3).map(tuple), max_size=3).map(tuple)), st.builds(Preformatted, st.text(max_size=20)),
), max_size=6))  # fmt: skip
def test_any_blocks_can_be_written(blocks):
    found = written(*blocks)
    json.dumps(found.text)
