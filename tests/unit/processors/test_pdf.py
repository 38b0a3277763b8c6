import gc
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import media
from headrace_plugin import Failed, Limits, Reading
from tests import documents
from tests.readings import read
from worker.processors.pdf import PdfProcessor


def extract(path, data, limits=None):
    path.write_bytes(data)
    return read(PdfProcessor(), path, media.PDF, limits=limits)


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


def open_files():
    """Which, and not how many: a connection that another test of this process has left may be closed meanwhile."""
    gc.collect()
    found = set()
    for number in (int(entry.name) for entry in Path("/dev/fd").iterdir()):  # both on Linux and on macOS
        with suppress(OSError):  # the one that listed them
            seen = os.fstat(number)
            found.add((number, seen.st_dev, seen.st_ino))
    return found


def test_pages_come_in_order_with_a_form_feed_between(source):
    extracted = extract(source, documents.pdf(["First page", "Größe (ein\\mal)\nsecond line", "Third"]))
    assert extracted.text == "First page\fGröße (ein\\mal)\nsecond line\fThird"
    assert extracted.extracted.pages == 3
    assert [page["text"] for page in extracted.pages] == extracted.text.split("\f")
    assert not extracted.truncated
    assert not extracted.warnings


@pytest.mark.parametrize("room", [1, 12, 13, 14, 15])
def test_a_page_is_whole_whatever_room_was_kept_for_its_text(source, monkeypatch, room):
    monkeypatch.setattr("worker.processors.pdf._UNITS", room)
    assert extract(source, documents.pdf(["thirteen, so.", "", "two\nlines"])).text == "thirteen, so.\f\ftwo\nlines"


def test_a_word_hyphenated_at_the_end_of_a_line_is_whole(source):
    assert "reconciliation" in extract(source, documents.pdf(["what ends is recon-\nciliation of all"])).text


def test_the_documents_of_the_tests_are_sound(source):
    """PDFium repairs silently; a table that is right points at each object."""
    for data in (documents.pdf(["one", "two"]), documents.encrypted_pdf()):
        start = int(data.rpartition(b"startxref\n")[2].split()[0])
        assert data[start:].startswith(b"xref\n")
        for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n", data), 1):
            assert data[int(offset) :].startswith(b"%d 0 obj" % number)


def test_progress_goes_by_page(source):
    progress = extract(source, documents.pdf(["words"] * 4)).progress
    assert progress == [{"done": done, "total": 4, "unit": "pages"} for done in (1, 2, 3, 4)]


def test_the_document_speaks_of_itself(source):
    said = {"Title": "Größe 東京", "Author": "A. Writer", "Subject": "s", "Creator": "c", "Producer": "p", "Keywords": "not ours"}
    dates = {"CreationDate": "D:20240229103000+02'00'", "ModDate": "D:20240301"}
    assert extract(source, documents.pdf(["words"], **said, **dates)).extracted.document == {
        "title": "Größe 東京",
        "author": "A. Writer",
        "subject": "s",
        "creator": "c",
        "producer": "p",
        "created_at": "2024-02-29T10:30:00+02:00",
        "modified_at": "2024-03-01T00:00:00",
    }


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("D:20221231235959Z", "2022-12-31T23:59:59+00:00"),
        ("D:20221231235959-08'30", "2022-12-31T23:59:59-08:30"),
        ("20221231", "2022-12-31T00:00:00"),
        ("D:2022", "2022-01-01T00:00:00"),
        ("D:20220231", None),
        ("D:00000101", None),
        ("D:20221231235959+99'99'", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_iso_or_left_out(date, expected, source):
    assert extract(source, documents.pdf(["words"], CreationDate=date)).extracted.document.get("created_at") == expected


def test_what_a_document_says_is_bounded_and_one_clean_line_of_text(source):
    document = extract(source, documents.pdf(["words"], Title="t" * 9999, Author="\ud800", Subject="\0 \x07", Creator=" a\0b ")).extracted.document
    assert document == {"title": "t" * 1000, "creator": "a b"}


def test_a_password_is_encrypted_not_malformed(source):
    with pytest.raises(Failed) as failure:
        extract(source, documents.encrypted_pdf())
    assert failure.value.code == "encrypted"


def test_the_encrypted_document_is_a_real_one():
    with pypdfium2.PdfDocument(documents.encrypted_pdf(), password=documents.PASSWORD) as document:
        page = document[0]
        textpage = page.get_textpage()
        assert textpage.get_text_bounded() == "Secret words"
        textpage.close()
        page.close()


def test_an_empty_password_opens(source):
    assert extract(source, documents.encrypted_pdf(password="")).text == "Secret words"


@pytest.mark.parametrize("data", [documents.truncated_pdf(), documents.not_a_pdf(), b"%PDF-", documents.png(), documents.pdf([])])
def test_damage_is_malformed_whatever_failed_before(data, source):
    for _ in range(2):
        with pytest.raises(Failed) as failure:
            extract(source, data)
        assert failure.value.code == "malformed"
        # PDFium keeps the code of the last failure, also while it opens a document without pages.
        with pytest.raises(Failed):
            extract(source, documents.encrypted_pdf())


def test_a_file_that_is_not_there_is_not_the_documents_fault(source):
    with pytest.raises(FileNotFoundError):
        read(PdfProcessor(), source)


def test_pages_without_text_are_said(source):
    extracted = extract(source, documents.scanned_pdf(2))
    assert (extracted.extracted.pages, extracted.text.strip(), extracted.codes) == (2, "", ["no_text"])


def test_a_page_with_text_is_enough(source):
    assert not extract(source, documents.pdf(["", "words", ""])).warnings


def broken_pages(data, *numbers):
    for number in numbers:
        data = re.sub(rb"\n%d 0 obj\n<< /Type /Page " % number, b"\n%d 0 obj\n[] /Type /Page " % number, data)
    return data


def test_a_broken_page_is_said_and_the_others_are_read(source):
    extracted = extract(source, broken_pages(documents.pdf(["one", "two", "three"]), 7))
    assert (extracted.text, extracted.extracted.pages, extracted.codes) == ("one\f\fthree", 3, ["malformed"])


def test_no_page_that_can_be_read_is_malformed(source):
    with pytest.raises(Failed) as failure:
        extract(source, broken_pages(documents.pdf(["one", "two"]), 5, 7))
    assert failure.value.code == "malformed"


def test_pages_beyond_the_limit_are_counted_not_read(source):
    extracted = extract(source, documents.pdf(["one", "two", "three"]), Limits(pages=2))
    assert (extracted.text, extracted.extracted.pages, extracted.truncated, extracted.codes) == ("one\ftwo", 3, True, ["truncated"])


@pytest.mark.parametrize(("limit", "text", "truncated"), [(12, "one\ftwo\ffour", False), (11, "one\ftwo\ffou", True), (7, "one\ftwo", True), (2, "on", True)])
def test_text_is_cut_at_the_limit_and_only_beyond_it(limit, text, truncated, source):
    extracted = extract(source, documents.pdf(["one", "two", "four"]), Limits(text_characters=limit))
    assert (extracted.text, extracted.extracted.pages, extracted.truncated) == (text, 3, truncated)
    assert extracted.codes == (["truncated"] if truncated else [])


def test_nothing_stays_open(source):
    def stop(message):
        raise InterruptedError

    def try_all():
        extract(source, documents.pdf(["words"] * 3))
        for data in (documents.encrypted_pdf(), documents.not_a_pdf(), documents.pdf([]), broken_pages(documents.pdf(["one"]), 5)):
            with pytest.raises(Failed):
                extract(source, data)
        with pytest.raises(InterruptedError):
            source.write_bytes(documents.pdf(["words"] * 3))
            with Reading(source, media.PDF, source.parent, tell=stop) as reading:
                PdfProcessor().process(reading)

    try_all()
    before = open_files()
    try_all()
    assert open_files() - before == set()


def test_each_page_is_closed_before_the_next(source, monkeypatch):
    closed = []
    for kind in (pypdfium2.PdfPage, pypdfium2.PdfTextPage):
        close = kind.close
        monkeypatch.setattr(kind, "close", lambda self, *args, kind=kind, close=close, **kw: (closed.append(kind.__name__), close(self, *args, **kw)))
    seen = []
    source.write_bytes(documents.pdf(["words"] * 3))
    with Reading(source, media.PDF, source.parent, tell=lambda message: seen.append(len(closed))) as reading:
        PdfProcessor().process(reading)
    assert seen == [2, 4, 6]


def test_a_large_page_count_is_cheap_to_walk(source):
    extracted = extract(source, documents.pdf(["words"] * 1000))
    assert (extracted.extracted.pages, extracted.text.count("\f")) == (1000, 999)


def test_importing_calls_nothing_that_a_fork_would_inherit():
    """A library that worked before a fork hangs in the child; the import itself is wanted before it."""
    code = (
        "import os, sys, tempfile, pathlib\n"
        "import worker.processors.registry as registry\n"
        "from headrace_plugin import Reading\n"
        "from tests.documents import pdf\n"
        "processors = registry.load()\n"
        "path = pathlib.Path(tempfile.mkdtemp()) / 'a.pdf'\n"
        "path.write_bytes(pdf(['words']))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    with Reading(path, 'application/pdf', path.parent) as reading: processors.reading(reading.media_type)[0].process(reading)\n"
        "    text = (path.parent / 'text.txt').read_text()\n"
        "    os._exit(0 if text == 'words' else 1)\n"
        "path.unlink() if os.waitpid(child, 0)[1] == 0 else sys.exit('the child failed')\n"
        "(path.parent / 'text.txt').unlink()\n"
        "(path.parent / 'pages.jsonl').unlink()\n"
        "path.parent.rmdir()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


SEEDS = [documents.pdf(["one", "two"], Title="t", CreationDate="D:2024"), documents.encrypted_pdf(), documents.scanned_pdf()]


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 12))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.one_of(damaged(), st.binary(min_size=1, max_size=300).map(lambda noise: b"%PDF-1.4\n" + noise)))
def test_any_bytes_are_read_or_refused(data, tmp_path):
    try:
        extracted = extract(tmp_path / "source", data)
    except Failed as error:
        failure = error
    else:
        assert extracted.extracted.pages
        extracted.text.encode()
        "".join(extracted.extracted.document.values()).encode()
        return
    assert failure.code in {"malformed", "encrypted"}
