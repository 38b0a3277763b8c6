import stat

import pytest
from PIL import Image, ImageDraw, ImageFont

from app.domain import media
from tests import documents, pictures
from tests.readings import read
from worker.isolation.parser import Request
from worker.isolation.parser_host import ParserHost
from worker.processors import ocr
from worker.processors.base import Limits
from worker.processors.images import ImageProcessor
from worker.processors.pdf import PdfProcessor

REAL = ocr.tesseract
PNG, TIFF = "image/png", "image/tiff"
HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


def word(text, sure=96.5, block=1, par=1, line=1):
    return f"5\t1\t{block}\t{par}\t{line}\t1\t0\t0\t1\t1\t{sure}\t{text}"


@pytest.fixture
def tesseract(tmp_path, monkeypatch):
    """One that answers what the test says, and notes what it was asked."""

    def answers(*rows, languages=("eng",), status=0, before=""):
        (tmp_path / "answer").write_text("\n".join([HEAD, *rows]))
        (tmp_path / "languages").write_text("\n".join(["List of available languages (2):", "osd", *languages]) + "\n")
        program = tmp_path / "tesseract"
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = --list-langs ]; then exec cat {tmp_path}/languages; fi\necho "$@" >> {tmp_path}/asked\n{before}\ncat {tmp_path}/answer\nexit {status}\n',
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(ocr, "tesseract", str(program))
        return tmp_path / "asked"

    return answers


@pytest.fixture
def real(monkeypatch):
    if REAL is None:
        pytest.skip("this system has no tesseract")
    monkeypatch.setattr(ocr, "tesseract", REAL)


def scanned(pages=1, limits=None, **more):
    return read(PdfProcessor(), documents.scanned_pdf(pages), media.PDF, limits=limits, **more)


def drawing(text="Recognised words", size=(900, 200)):
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 60), text, fill="black", font=ImageFont.load_default(64))
    return image


def test_the_real_one_reads_a_picture(real):
    found = read(ImageProcessor(), pictures.encoded(PNG, drawing()), PNG)
    assert (found.text, found.codes) == ("Recognised words", ["ocr"])
    assert found.extracted.details["ocr"] == {"engine": "tesseract", "languages": "eng", "pages": 1}


def test_the_real_one_finds_no_words_in_colours(real):
    found = read(ImageProcessor(), pictures.encoded(PNG), PNG)
    assert (found.text, found.codes) == (None, [])


def test_the_real_one_runs_in_the_process_of_a_reading(real, tmp_path):
    """Under its limits, without a network, with no folder to write to but its own."""
    (tmp_path / "source").write_bytes(pictures.encoded(PNG, drawing()))
    (tmp_path / "made").mkdir()
    host = ParserHost()
    try:
        answer = host.extract(Request(tmp_path / "source", PNG, tmp_path / "made"), lambda _: None)
    finally:
        host.close()
    assert (answer.text.preview, [warning.code for warning in answer.warnings]) == ("Recognised words", ["ocr"])


def test_pages_without_text_are_read_in_their_place(tesseract):
    tesseract(word("seen"))
    found = read(PdfProcessor(), documents.pdf(["first", "", "third"]), media.PDF)
    assert (found.text, found.codes) == ("first\fseen\fthird", ["ocr"])
    assert found.extracted.details == {"ocr": {"engine": "tesseract", "languages": "eng", "pages": 1}}


def test_a_scan_is_still_said_to_have_no_text_of_its_own(tesseract):
    tesseract(word("seen"))
    found = scanned(2)
    assert (found.text, found.codes) == ("seen\fseen", ["no_text", "ocr"])


def test_without_tesseract_that_is_said():
    found = scanned()
    assert (found.text, found.warnings, found.extracted.details) == ("", [("no_text", "No page has text: scanned, or drawn. There is no OCR here")], {})


def test_it_can_be_switched_off(tesseract):
    asked = tesseract(word("seen"))
    found = scanned(limits=Limits(ocr_pages=0))
    assert (found.text, found.codes) == ("", ["no_text"])
    assert not asked.exists()


def test_pages_beyond_the_limit_are_left_and_said(tesseract):
    asked = tesseract(word("seen"))
    found = scanned(5, Limits(ocr_pages=2))
    assert (found.text, found.codes) == ("seen\fseen\f\f\f", ["no_text", "ocr_limited", "ocr"])
    assert found.warnings[1][1].startswith("3 pages")
    assert len(asked.read_text().splitlines()) == 2


def test_no_page_is_begun_when_the_time_is_up(tesseract):
    asked = tesseract(word("seen"))
    found = scanned(3, Limits(wall_seconds=0))
    assert (found.codes, asked.exists()) == (["no_text", "ocr_limited"], False)


@pytest.mark.parametrize("broken", [{"status": 1}, {"before": "kill -9 $$"}])
def test_a_tesseract_that_fails_costs_its_page_only(broken, tesseract):
    tesseract(word("seen"), **broken)
    found = read(PdfProcessor(), documents.pdf(["", "words"]), media.PDF)
    assert (found.text, found.codes) == ("\fwords", [])


def test_words_that_it_is_not_sure_of_are_left_out(tesseract):
    tesseract(
        "4\t1\t1\t1\t1\t0\t0\t0\t1\t1\t-1\t", word("sure"), word("~", sure=20), word("too"), word("below", line=2), word("apart", par=2), word(" "), word("x", sure="y"), "5\t1",
    )  # fmt: skip
    assert scanned().text == "sure too\nbelow\n\napart"


@pytest.mark.parametrize(
    ("options", "languages"), [({}, "eng+ces+deu"), ({"ocr_languages": "deu"}, "deu"), ({"ocr_languages": "pol+deu+--x"}, "pol+deu"), ({"ocr_languages": "xyz"}, "eng+ces+deu")],
)  # fmt: skip
def test_languages_are_those_asked_for_as_far_as_they_are_installed(options, languages, tesseract, tmp_path):
    from worker.processors.base import Reading

    asked = tesseract(word("seen"), languages=("ces", "deu", "eng", "pol"))
    path = tmp_path / "source"
    path.write_bytes(documents.scanned_pdf())
    (tmp_path / "made").mkdir()
    with Reading(path, media.PDF, tmp_path / "made", options=options) as reading:
        PdfProcessor().process(reading)
    assert f" -l {languages} " in asked.read_text()
    assert {each.name for each in (tmp_path / "made").iterdir()} == {"text.txt", "pages.jsonl"}


def test_a_fax_is_read_page_by_page(tesseract):
    tesseract(word("seen"))
    found = read(ImageProcessor(), pictures.encoded(TIFF, save_all=True, append_images=[pictures.picture()]), TIFF)
    assert (found.text, found.extracted.frames) == ("seen\fseen", 2)


def test_of_a_film_of_frames_only_the_first_is_looked_at(tesseract):
    film = pictures.encoded("image/gif", save_all=True, append_images=[pictures.picture().rotate(90)])
    asked = tesseract(word("seen"))
    assert read(ImageProcessor(), film, "image/gif").text == "seen"
    assert len(asked.read_text().splitlines()) == 1
    tesseract()
    assert read(ImageProcessor(), film, "image/gif").text is None


def test_a_picture_of_too_many_pixels_is_not_decoded(tesseract):
    asked = tesseract(word("seen"))
    found = read(ImageProcessor(), pictures.encoded(PNG), PNG, limits=Limits(pixels=100))
    assert (found.extracted.width, asked.exists()) == (60, False)


def test_half_a_picture_has_its_size_all_the_same(tesseract):
    tesseract(word("seen"))
    half = pictures.encoded("image/jpeg", pictures.picture(2000, 2000))[:9000]
    found = read(ImageProcessor(), half, "image/jpeg")
    assert (found.extracted.width, found.text) == (2000, None)


def test_what_tesseract_gets_is_of_a_bounded_size(tesseract, tmp_path):
    tesseract(word("seen"), before=f'cp "$1" {tmp_path}/given')
    scanned_large = documents.scanned_pdf().replace(b"[0 0 595 842]", b"[0 0 9000 9000]")
    read(PdfProcessor(), scanned_large, media.PDF)
    with Image.open(tmp_path / "given", formats=["PNG"]) as given:
        assert given.width * given.height <= 1.01 * ocr.PIXELS
        assert given.mode == "L"
