import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.filename import LIMIT_BYTES, UNNAMED, attachment, clean

TEXT = st.one_of(
    st.text(),
    st.text(st.sampled_from("a. /\\\u0301\u200d\u202e\u00e9\U0001f600 \u2028\0\ud800"), max_size=40),
    st.text(st.sampled_from("\u00e9ab.\u0301 "), min_size=120, max_size=300),
)


@given(TEXT)
@example("e\u200d\u0301.txt")
@example("a" * 254 + " b")
@example("a" * 250 + " .txt")
@example("x" * 300 + "." + " " * 3 + "y")
@example(" " * 3 + "." + "x" * 300)
def test_any_name_becomes_one_that_is_harmless_to_show_and_stays_so(name):
    cleaned = clean(name)
    assert 1 <= len(cleaned.encode()) <= LIMIT_BYTES
    assert not any(unicodedata.category(c).startswith("C") or unicodedata.category(c) in {"Zl", "Zp"} for c in cleaned)
    assert not any(unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} for c in cleaned)
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert cleaned == cleaned.strip()
    assert cleaned not in {".", ".."}
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean(cleaned) == cleaned


@given(st.text("ab\u00e9\U0001f600", min_size=1, max_size=400), st.sampled_from(["pdf", "tar", "docx", "x", "123456789012345"]))
def test_the_extension_survives(stem, extension):
    assert clean(f"{stem}.{extension}").endswith(f".{extension}")


@pytest.mark.parametrize("name", [None, "", " ", ".", "..", "/", "a/", "\0", "\u202e", "a\\", " . "])
def test_a_name_of_which_nothing_is_left_is_unnamed(name):
    assert clean(name) == UNNAMED


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\a.txt", "a.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\r\nb.txt", "ab.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("\u65e5\u672c.pdf", "\u65e5\u672c.pdf"),
        (".profile", ".profile"),
        ("..x", "..x"),
    ],
)
def test_a_name_is_kept_as_far_as_it_can_be(name, cleaned):
    assert clean(name) == cleaned


def test_a_long_name_is_cut_between_characters():
    assert clean("\u00e9" * 200 + ".pdf") == "\u00e9" * 125 + ".pdf"
    assert clean("\U0001f600" * 100) == "\U0001f600" * 63


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.pdf", 'attachment; filename="a.pdf"'),
        ("a b;c.pdf", 'attachment; filename="a b;c.pdf"'),
        ('"\\%.pdf', "attachment; filename=\"___.pdf\"; filename*=UTF-8''%22%5C%25.pdf"),
        ("日本.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
    ],
)
def test_any_file_name_makes_a_header(name: str, header: str) -> None:
    assert attachment(name) == header
