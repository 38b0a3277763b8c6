import pytest

from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.base import Failed, Heading
from worker.processors.epub import EpubProcessor

ONE = '<!DOCTYPE html><html xmlns="h"><head><title>First</title></head><body><h1>One</h1><p>It was&nbsp;dark.</p></body></html>'
TWO = "<html><body><p>It was <i>light</i>.</p></body></html>"


def test_the_whole_book_in_reading_order():
    found = read(EpubProcessor(), office.epub({"b": TWO, "a": ONE, "unused": "<p>no part of it</p>"}, spine=["a", "b"]))
    assert found.pages == [{"page": 1, "text": "One\n\nIt was dark.", "label": "First"}, {"page": 2, "text": "It was light."}]
    assert found.markdown == "# One\n\nIt was dark.\n\nIt was *light*."
    assert found.extracted.document == {"title": "The title", "author": "A. Writer"}
    assert (found.extracted.language, found.extracted.outline, found.extracted.details) == ("en", [Heading("One", 1, 1)], {"chapters": 2})


def test_a_chapter_in_utf_16_is_read():
    data = zipped({
        "META-INF/container.xml": b'<c><rootfiles><rootfile full-path="book.opf"/></rootfiles></c>',
        "book.opf": b'<p><manifest><item id="a" href="a%20b.html" media-type="text/html"/></manifest><spine><itemref idref="a"/></spine></p>',
        "a b.html": "<p>žluťoučký</p>".encode("utf-16"),
    })  # fmt: skip
    assert read(EpubProcessor(), data).text == "žluťoučký"


def test_disguised_fonts_are_no_encryption():
    assert read(EpubProcessor(), office.epub({"a": TWO}, algorithm="http://www.idpf.org/2008/embedding")).text == "It was light."


def test_a_protected_book_is_encrypted():
    with pytest.raises(Failed) as failure:
        read(EpubProcessor(), office.epub({"a": TWO}, algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"))
    assert failure.value.code == "encrypted"


@pytest.mark.parametrize("data", [zipped({"META-INF/container.xml": b"<c/>"}), zipped({"META-INF/container.xml": b"<c>"}), zipped({"a": b""}), b"PK\3\4"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(EpubProcessor(), data)
    assert failure.value.code == "malformed"
