import io

import pytest

from headrace_plugin import Heading
from worker.chunks.headings import Place, in_markdown, places


def found(text, *headings):
    """What the text stands under, by the words that follow."""
    return [(text[place.start :].split("\n")[0].strip("\f"), place.headings) for place in places(io.StringIO(text, newline=""), headings)]


def test_headings_are_what_is_written_so_outside_of_fences():
    markdown = "# One\n\nwords # no\n#none\n#\n## Two ##\n# C#\n```sh\n# a comment\n~~~\n# another\n```\n####### seven\n###### Six\r\n"
    assert list(in_markdown(io.StringIO(markdown, newline=""))) == [Heading("One", 1), Heading("Two", 2), Heading("C#", 1), Heading("Six", 6)]


def test_a_title_is_told_without_its_marks():
    markdown = "# **Bold** and [a link](https://example.org/) of 2 \\* 3 with `code`\n"
    assert [each.title for each in in_markdown(io.StringIO(markdown))] == ["Bold and a link of 2 * 3 with code"]


def test_a_section_stands_under_the_headings_above_it():
    text = "before\nOne\na\nTwo\nb\nThree\nc\nFour\nd"
    headings = Heading("One", 1), Heading("Two", 2), Heading("Three", 2), Heading("Four", 1)
    assert found(text, *headings) == [("One", ("One",)), ("Two", ("One", "Two")), ("Three", ("One", "Three")), ("Four", ("Four",))]


def test_levels_may_be_left_out():
    assert found("One\na\nDeep\nb\nTwo\nc", Heading("One", 1), Heading("Deep", 4), Heading("Two", 2)) == [
        ("One", ("One",)),
        ("Deep", ("One", "Deep")),
        ("Two", ("One", "Two")),
    ]


def test_a_heading_with_nothing_of_its_own_begins_the_section_of_the_next_deeper_one():
    assert found("One\n\n\nTwo\na\nThree\nFour\nb", Heading("One", 1), Heading("Two", 2), Heading("Three", 2), Heading("Four", 2)) == [
        ("One", ("One", "Two")),
        ("Three", ("One", "Three")),
        ("Four", ("One", "Four")),
    ]


def test_titles_are_found_whatever_stands_around_their_words():
    assert found("## 1.\tThe *Größe* [of it](http://x/) ##\nwords", Heading("1. The GRÖSSE of it", 1)) == [
        ("## 1.\tThe *Größe* [of it](http://x/) ##", ("1. The GRÖSSE of it",))
    ]


def test_a_title_is_a_whole_line():
    assert found("One more\nthe One\nOne\nwords", Heading("One", 1)) == [("One", ("One",))]
    assert found("x" * 512 + "One\nwords", Heading("One", 1)) == []


def test_a_title_that_is_not_there_does_not_hide_those_after_it():
    assert found("One\na\nThree\nb", Heading("One", 1), Heading("Two", 2), Heading("Three", 3)) == [("One", ("One",)), ("Three", ("One", "Two", "Three"))]


def test_one_on_a_page_is_looked_for_there_and_nowhere_else():
    text = "Contents\nOne\nTwo\fOne\na\fTwo\nb"
    assert found(text, Heading("One", 1, 2), Heading("Two", 1, 3)) == [("One", ("One",)), ("Two", ("Two",))]
    assert [place.start for place in places(io.StringIO(text), [Heading("One", 1, 2)])] == [text.index("\f") + 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\fCHAPTER\nONE\nb\fc", Place(2, ("One",))),  # it is no line of its page: where that begins
        ("a\fCHAPTER\nONE\nb\nTwo\nc", Place(2, ("One",))),
    ],
)
def test_one_that_is_no_line_of_its_page_stands_where_that_begins(text, expected):
    headings = Heading("One", 1, 2), Heading("Two", 2, 2)
    assert next(places(io.StringIO(text.replace("ONE", "the first")), headings)) == expected


def test_one_that_is_no_line_of_its_page_ends_what_was_found_there():
    text = "One\na\fb"
    assert list(places(io.StringIO(text), [Heading("One", 1, 1), Heading("Two", 1, 1)])) == [Place(0, ("One",)), Place(5, ("Two",))]


@pytest.mark.parametrize("line", ["# x" + " " * 500 + "x", "[" * 500, "[](" * 170, "# " + "#" * 500, "*" * 500, "\\" * 500])
def test_no_line_takes_long(line):
    """With an expression that looks again and again, this takes minutes."""
    text = (line + "\n") * 5000
    headings = [Heading("One", 1), *in_markdown(io.StringIO(text))]
    assert all(place.start % (len(line) + 1) == 0 for place in places(io.StringIO(text), headings))


def test_no_more_of_the_text_is_read_than_was_asked_for():
    text = io.StringIO("One\na\n" + "words\n" * 100_000)
    assert next(places(text, [Heading("One", 1)])) == Place(0, ("One",))
    assert text.tell() < 100
