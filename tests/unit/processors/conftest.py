import pytest

from worker.processors import ocr


@pytest.fixture(autouse=True)
def without_ocr(monkeypatch):
    """What these tests say of a document holds on systems with tesseract and without; test_ocr.py has its own."""
    monkeypatch.setattr(ocr, "tesseract", None)
