import ast
import json
import sys
from pathlib import Path

import pytest

import headrace_plugin
from headrace_plugin import FAILURES, MARKDOWN, PAGES, TEXT, Failed, Limits, Reading


@pytest.fixture
def reading(tmp_path):
    def make(**more):
        return Reading(tmp_path / "source", "text/plain", tmp_path, **more)

    return make


def made(reading, name):
    reading.close()
    return (reading.folder / name).read_bytes().decode()


def pages(reading):
    return [json.loads(line) for line in made(reading, PAGES).splitlines()]


def test_nothing_but_the_standard_library_is_imported():
    imported = set()
    for path in Path(headrace_plugin.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert imported - {"headrace_plugin"} <= sys.stdlib_module_names


def test_pieces_of_text_are_put_together(reading):
    with reading() as at:
        assert at.write_text("one ")
        assert at.write_text("two\r\n")
    assert made(at, TEXT) == "one two\r\n"
    assert not (at.folder / PAGES).exists()


def test_pages_are_parted_by_a_form_feed_and_numbered(reading):
    at = reading()
    for text, label in (("one", None), ("", "empty"), ("three", None)):
        assert at.write_page(text, label=label)
    assert made(at, TEXT) == "one\f\fthree"
    assert pages(at) == [{"page": 1, "text": "one"}, {"page": 2, "text": "", "label": "empty"}, {"page": 3, "text": "three"}]


@pytest.mark.parametrize(("limit", "text", "second"), [(7, "one\ftwo", "two"), (6, "one\ftw", "tw"), (4, "one\f", ""), (3, "one", "")])
def test_text_is_cut_at_the_limit_in_both_files_and_said_once(reading, limit, text, second):
    at = reading(limits=Limits(text_characters=limit))
    at.write_page("one")
    assert at.write_page("two") == (limit >= 7)
    assert made(at, TEXT) == text
    assert [page["text"] for page in pages(at)] == ["one", second]
    assert at.truncated == (limit < 7)
    assert [code for code, _ in at.warnings] == ["truncated"] * (limit < 7)


def test_pages_beyond_the_limit_are_left_out(reading):
    at = reading(limits=Limits(pages=1))
    assert at.write_page("one")
    assert not at.write_page("two")
    assert (made(at, TEXT), at.truncated) == ("one", True)


def test_only_page_breaks_are_form_feeds(reading):
    at = reading()
    at.write_page("one\fstill one")
    at.write_page("two")
    assert made(at, TEXT) == "one\nstill one\ftwo"
    assert [page["text"] for page in pages(at)] == ["one\nstill one", "two"]


def test_markdown_is_a_file_of_its_own(reading):
    at = reading()
    at.write_markdown("# One\n")
    at.write_text("One")
    assert (made(at, MARKDOWN), made(at, TEXT)) == ("# One\n", "One")


def test_what_is_no_utf_8_is_replaced(reading):
    at = reading()
    at.write_page("a\ud800b")
    assert made(at, TEXT) == "a?b"
    assert pages(at)[0]["text"] == "a?b"


def test_a_warning_is_kept_once_for_each_code(reading):
    at = reading()
    for message in ("first", "second"):
        at.warn("odd", message)
    at.warn("other")
    assert at.warnings == [("odd", "first"), ("other", "")]


def test_progress_is_told(reading):
    told = []
    reading(tell=told.append).progress(1, 2, "pages")
    reading().progress(1, 2)
    assert told == [{"progress": {"done": 1, "total": 2, "unit": "pages"}}]


def test_a_reset_leaves_nothing(reading):
    at = reading(limits=Limits(text_characters=3))
    at.write_page("long")
    at.write_markdown("m")
    at.reset()
    assert (list(at.folder.iterdir()), at.warnings, at.truncated) == ([], [], False)
    at.write_page("new")
    assert (made(at, TEXT), pages(at)) == ("new", [{"page": 1, "text": "new"}])


def test_a_failure_has_one_of_the_known_codes():
    assert {Failed(code).code for code in FAILURES} == FAILURES
    with pytest.raises(ValueError, match="none of"):
        Failed("surprise")
