from itertools import pairwise

import pytest

from app.domain import media
from tests import documents
from worker.processors import encoding
from worker.processors.registry import processor_for
from worker.processors.text import TextProcessor


def extract(path, data, media_type=media.PLAIN):
    path.write_bytes(data)
    percents = []
    extracted = TextProcessor().extract(path, media_type, percents.append)
    assert percents[-1] == 100
    assert all(a <= b for a, b in pairwise(percents))
    return extracted


def codes(extracted):
    return [warning.code for warning in extracted.warnings]


@pytest.mark.parametrize("media_type", [media.PLAIN, media.MARKDOWN, media.CSV, media.JSON, media.XML, media.HTML, "text/x-unheard-of"])
def test_text_is_kept_as_it_stands(media_type, tmp_path):
    assert isinstance(processor_for(media_type), TextProcessor)
    extracted = extract(tmp_path / "source", b'{"a":  1}\r\n<b>\t', media_type)
    assert (extracted.text, extracted.encoding, extracted.warnings) == ('{"a":  1}\r\n<b>\t', "utf-8", [])
    assert extracted.pages is None


def test_a_guess_is_said(tmp_path):
    extracted = extract(tmp_path / "source", b"\xe9t\xe9")
    assert (extracted.text, codes(extracted)) == ("été", ["encoding_guessed"])


def test_a_cut_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(encoding.decode.__kwdefaults__, "limit", 10)
    extracted = extract(tmp_path / "source", b"0123456789a")
    assert (extracted.text, extracted.truncated, codes(extracted)) == ("0123456789", True, ["truncated"])


def test_white_space_is_no_text(tmp_path):
    assert codes(extract(tmp_path / "source", b" \r\n\t")) == ["no_text"]


@pytest.mark.parametrize("media_type", ["image/png", media.DOCX, media.UNKNOWN, media.ENCRYPTED, media.SVG, "text"])
def test_what_nobody_reads_has_no_processor(media_type):
    assert processor_for(media_type) is None


def test_the_text_survives_the_way_into_storage(tmp_path):
    text, encodings = documents.TEXTS["japanese"]
    for name in encodings:
        assert extract(tmp_path / "source", text.encode(name)).text.encode().decode() == text
