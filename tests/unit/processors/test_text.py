from itertools import pairwise

import pytest

from app.domain import media
from headrace_plugin import Limits
from tests import documents
from tests.readings import read
from worker.processors.registry import BUILT_IN, Registry
from worker.processors.text import TextProcessor


def extract(data, media_type=media.PLAIN, limits=None):
    got = read(TextProcessor(), data, media_type, limits=limits)
    percents = [each["done"] for each in got.progress]
    assert percents[-1] == 100
    assert all(a <= b for a, b in pairwise(percents))
    return got


def takes(media_type):
    return [type(each) for each in Registry(kind() for kind in BUILT_IN).reading(media_type)]


@pytest.mark.parametrize("media_type", [media.PLAIN, media.MARKDOWN, media.JSON, media.XML, "text/x-unheard-of"])
def test_text_is_kept_as_it_stands(media_type):
    assert takes(media_type) == [TextProcessor]
    extracted = extract(b'{"a":  1}\r\n<b>\t', media_type)
    assert (extracted.text, extracted.extracted.encoding, extracted.warnings) == ('{"a":  1}\r\n<b>\t', "utf-8", [])
    assert extracted.pages is extracted.extracted.pages is None


def test_a_guess_is_said():
    extracted = extract(b"\xe9t\xe9")
    assert (extracted.text, extracted.codes) == ("été", ["encoding_guessed"])


def test_a_cut_is_said():
    extracted = extract(b"0123456789a", limits=Limits(text_characters=10))
    assert (extracted.text, extracted.truncated, extracted.codes) == ("0123456789", True, ["truncated"])


def test_white_space_is_no_text():
    assert extract(b" \r\n\t").codes == ["no_text"]


@pytest.mark.parametrize("media_type", ["image/vnd.adobe.photoshop", media.DOC, media.UNKNOWN, media.ENCRYPTED, media.OLE, "application/gzip", "text"])
def test_what_nobody_reads_has_no_processor(media_type):
    assert takes(media_type) == []


def test_the_text_survives_the_way_into_storage():
    text, encodings = documents.TEXTS["japanese"]
    for name in encodings:
        assert extract(text.encode(name)).text.encode().decode() == text


def test_markdown_is_kept_with_its_outline():
    text = "# One #\n\nwords\n\n```\n# no heading\n```\n\n## Two\n#nor this\n"
    found = read(TextProcessor(), text.encode(), media.MARKDOWN)
    assert (found.text, found.markdown) == (text, text)
    assert [(each.title, each.level) for each in found.extracted.outline] == [("One", 1), ("Two", 2)]


def test_other_text_has_no_markdown():
    found = read(TextProcessor(), b"# a comment\n", media.PLAIN)
    assert (found.markdown, found.extracted.outline) == (None, [])
