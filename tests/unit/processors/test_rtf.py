from contextlib import suppress

import pytest

from tests.documents import TEXTS
from tests.readings import read
from worker.processors import rtf as module
from worker.processors.base import Failed
from worker.processors.rtf import RtfProcessor


def rtf(body):
    data = body if isinstance(body, bytes) else body.encode("latin-1")
    return read(RtfProcessor(), data)


def test_the_whole_document():
    found = rtf(
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title The \'84title}{\author A. Writer}{\creatim\yr2024}}"
        r"\pard One \b loud\b0  word\par two\tab three\line four\par{\*\generator Unheard}\u382?lu\u357?ou\u269?k\u253?\par"
        r"\trowd\cellx1000\cellx2000\intbl a\cell b\cell\row\pard end}"
    )
    assert found.text == "One loud word\ntwo\tthree\nfour\nžluťoučký\na\tb\nend"
    assert found.extracted.document == {"title": "The „title", "author": "A. Writer"}
    assert not found.warnings


@pytest.mark.parametrize(
    ("name", "encoding", "page"), [("czech", "cp1250", 1250), ("russian", "cp1251", 1251), ("japanese", "cp932", 932), ("western", "cp1252", 1252)]
)
def test_code_pages_are_read(name, encoding, page):
    text = TEXTS[name][0].strip()
    escaped = "".join(f"\\'{byte:02x}" for byte in text.encode(encoding))
    assert rtf(f"{{\\rtf1\\ansi\\ansicpg{page} {escaped}}}").text == text


def test_a_character_of_two_halves_is_one():
    assert rtf(r"{\rtf1\ansi \u-10179?\u-8704? \u-10179?}").text == "\N{GRINNING FACE} \ufffd"


def test_pictures_are_no_text():
    assert rtf(r"{\rtf1\ansi a{\*\shppict{\pict\pngblip\picw10 89504e470d0a}}{\pict\wmetafile8 0100}b}").text == "ab"


def test_no_words_are_said():
    assert rtf(r"{\rtf1\ansi }").codes == ["no_text"]


def test_what_is_beyond_the_limit_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "_FILE_LIMIT_BYTES", 30)
    found = rtf(r"{\rtf1\ansi " + "words " * 100 + "}")
    assert (found.truncated, found.codes) == (True, ["truncated"])
    assert found.text.startswith("words")


@pytest.mark.parametrize(
    "body", [r"{\rtf1", r"{\rtf1\ansi\u99999999999 x}", r"{\rtf1\ansi\'zz }}}}}", r"{\rtf1\ansicpg99999 \'e9 words}", "{\\rtf1" + "{" * 50_000]
)
def test_broken_files_are_read_or_malformed(body):
    with suppress(Failed):
        assert rtf(body).text is not None
