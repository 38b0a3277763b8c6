import pytest

from app.domain import media
from worker.processors.mismatch import mismatches


@pytest.mark.parametrize(
    ("found", "filename", "declared", "codes"),
    [
        (media.PDF, "a.pdf", media.PDF, []),
        ("image/png", "a.pdf", None, ["extension_mismatch"]),
        ("image/png", "a.pdf", media.PDF, ["extension_mismatch"]),
        ("image/png", "a.pdf", media.UNKNOWN, ["extension_mismatch"]),
        ("image/png", "a.pdf", "image/png", ["extension_mismatch"]),
        ("image/png", "a.pdf", "image/gif", ["extension_mismatch", "type_mismatch"]),
        ("image/png", "a.png", "IMAGE/PNG; q=1", []),
        ("image/png", "a", "application/pdf", ["type_mismatch"]),
        ("image/png", "a.xyz", None, []),
        (media.UNKNOWN, "a.pdf", None, ["extension_mismatch"]),
        (media.UNKNOWN, "a.bin", "", []),
        (media.UNKNOWN, "a.txt", "text/plain", []),
        ("image/png", "a.txt", "text/plain", ["extension_mismatch"]),
        (media.JSON, "a.txt", "text/plain", []),
        (media.HTML, "a.txt", "text/plain", []),
        (media.PLAIN, "a.json", "application/json", ["extension_mismatch"]),
        (media.ZIP, "a.docx", media.DOCX, ["extension_mismatch"]),
        (media.ENCRYPTED, "a.docx", media.DOCX, []),
        (media.CSV, "a.csv", "application/vnd.ms-excel", []),
        (media.HEIF, "a.heic", "image/heic", []),
        ("audio/mp4", "a.mp4", "video/mp4", []),
        (media.RTF, "a.doc", "application/msword", []),
        (media.OLE, "a.doc", "application/msword", []),
        (media.XML, "a.xml", "text/xml", []),
    ],
)  # fmt: skip
def test_what_it_was_said_to_be_is_compared(found, filename, declared, codes):
    assert [warning.code for warning in mismatches(found, filename, declared)] == codes
