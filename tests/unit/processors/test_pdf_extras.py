"""What a PDF has beside the text of its pages."""

import io

import pytest
from PIL import Image

from app.domain import media
from headrace_plugin import Heading, Limits
from tests import documents
from tests.readings import read
from worker.processors.pdf import PdfProcessor


def extracted(data):
    return read(PdfProcessor(), data, media.PDF)


def with_everything(catalog=b"", page=b""):
    """One page with an outline, an attachment, a form field that is filled in, and a language."""
    font = b"/Resources << /Font << /F1 3 0 R >> >>"
    filled = b"BT /F1 12 Tf 2 5 Td (Filled in) Tj ET"
    content = b"BT /F1 12 Tf 50 205 Td (Name:) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) /Outlines 7 0 R /AcroForm << /Fields [9 0 R] >> "
        b"/Names << /EmbeddedFiles << /Names [(a.txt) 12 0 R] >> >> " + catalog + b" >>",
        b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 300] /Contents 6 0 R /Annots [9 0 R] " + font + page + b" >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Outlines /First 8 0 R /Last 8 0 R /Count 1 >>",
        b"<< /Title (Chapter) /Parent 7 0 R /Dest [5 0 R /Fit] /First 10 0 R /Last 10 0 R /Count 1 >>",
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Filled in) /F 4 /Rect [100 200 300 220] /AP << /N 11 0 R >> >>",
        b"<< /Title (Part) /Parent 8 0 R >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] %s /Length %d >>\nstream\n%s\nendstream" % (font, len(filled), filled),
        b"<< /Type /Filespec /F (a.txt) /UF (a.txt) /EF << /F 13 0 R >> >>",
        b"<< /Type /EmbeddedFile /Length 5 >>\nstream\nwords\nendstream",
    ]
    return documents._laid_out(objects, encrypt=0)


def test_what_a_document_has_beside_pages():
    found = extracted(with_everything())
    assert found.extracted.outline == [Heading("Chapter", 1, 1), Heading("Part", 2, None)]
    assert (found.extracted.language, found.extracted.details) == ("en-GB", {"attachments": ["a.txt"]})
    assert not found.warnings


def test_what_is_filled_into_a_form_is_text_and_drawn():
    found = read(PdfProcessor(), with_everything(), media.PDF, draw=True)
    assert found.text.split() == ["Name:", "Filled", "in"]
    image = Image.open(io.BytesIO(found.thumbnail)).convert("L")
    assert image.size == (320, 160)
    assert image.crop((53, 40, 160, 54)).getextrema()[0] < 128  # where the field is
    assert image.crop((170, 40, 320, 160)).getextrema()[0] > 200  # where nothing is


@pytest.mark.parametrize("catalog", [
    b"/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>", b"/OpenAction << /S /Launch /F (a.exe) >>", b"/AA << /WC << /S /JavaScript /JS (1) >> >>",
])  # fmt: skip
def test_scripts_are_said(catalog):
    assert extracted(with_everything(catalog)).codes == ["active_content"]


def test_words_about_scripts_are_none():
    assert not extracted(documents.pdf(["What /JSON and JavaScript are"])).warnings


def test_what_opens_without_its_password_is_said_to_be_encrypted():
    assert extracted(documents.encrypted_pdf(password="")).codes == ["encrypted"]


def test_the_first_page_is_drawn():
    found = read(PdfProcessor(), documents.pdf(["Words on the page"]), media.PDF, draw=True, limits=Limits(thumbnail_pixels=200))
    image = Image.open(io.BytesIO(found.thumbnail))
    assert (image.format, image.size) == ("WEBP", (142, 200))
    assert image.convert("L").crop((5, 5, 60, 25)).getextrema()[0] < 160


@pytest.mark.parametrize("box", [b"[0 0 14400 14400]", b"[0 0 1 14400]", b"[0 0 0 0]", b"[0 0 9999999 9999999]"])
def test_a_page_of_any_size_is_drawn_small(box):
    data = documents.pdf(["words"]).replace(b"[0 0 595 842]", box)
    image = Image.open(io.BytesIO(read(PdfProcessor(), data, media.PDF, draw=True).thumbnail))
    assert max(image.size) <= 320


def test_an_outline_that_leads_in_a_circle_ends():
    data = with_everything().replace(b"/Title (Part) /Parent 8 0 R", b"/Title (Part) /Next 10 0 R ")
    assert len(extracted(data).extracted.outline) <= 1000
