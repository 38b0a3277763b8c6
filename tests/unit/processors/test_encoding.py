import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import documents
from worker.processors.encoding import SAMPLE_BYTES, decode

MIB = 1024 * 1024
SAME = {"latin-1": "cp1252", "shift_jis": "cp932", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be"}
"""What an encoding is reported as, where its superset reads it alike."""

TABLE = [(name, encoding) for name, (_, encodings) in documents.TEXTS.items() for encoding in encodings]
LEGACY = [(name, encoding) for name, encoding in TABLE if not encoding.startswith("utf")]


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "encoding"), TABLE)
@pytest.mark.parametrize("repeats", [1, 3, 2000])
def test_an_encoding_is_found_and_the_text_is_whole(name, encoding, repeats, tmp_path):
    text = documents.TEXTS[name][0] * repeats
    found = decode(written(tmp_path / "source", text.encode(encoding)))
    assert found.text == text
    assert found.encoding == SAME.get(encoding, encoding)
    assert not found.guessed
    assert not found.truncated


@pytest.mark.parametrize(("name", "encoding"), LEGACY)
@pytest.mark.parametrize("ascii_bytes", [SAMPLE_BYTES * 3, SAMPLE_BYTES - 1])
def test_the_evidence_may_stand_deep_in_the_file(name, encoding, ascii_bytes, tmp_path):
    text = "x" * ascii_bytes + "\n" + documents.TEXTS[name][0] + "x\n" * ascii_bytes
    assert decode(written(tmp_path / "source", text.encode(encoding))).text == text


@pytest.mark.parametrize("seam", [2 * SAMPLE_BYTES, 3 * SAMPLE_BYTES])
@pytest.mark.parametrize("offset", [1, 2, 30, 60])
def test_the_evidence_may_lie_across_two_chunks(seam, offset, tmp_path):
    text = "x " * ((seam - offset) // 2) + documents.TEXTS["russian"][0][:60] + " x" * SAMPLE_BYTES * 3
    found = decode(written(tmp_path / "source", text.encode("cp1251")))
    assert (found.text, found.encoding) == (text, "cp1251")


def test_text_without_a_space_is_read_all_the_same(tmp_path):
    text = documents.TEXTS["japanese"][0].strip() * 5000
    found = decode(written(tmp_path / "source", text[: 2 * SAMPLE_BYTES].encode("euc_jp")))
    assert (found.text, found.encoding) == (text[: 2 * SAMPLE_BYTES], "euc_jp")


def test_a_word_too_long_to_be_seen_whole_makes_a_guess(tmp_path):
    data = b"x" * 2 * SAMPLE_BYTES + b" ab " + b"y" * SAMPLE_BYTES + b"\xe9" + b"y" * 3 * SAMPLE_BYTES
    found = decode(written(tmp_path / "source", data))
    assert (found.text, found.encoding, found.guessed) == (data.decode("latin-1"), "cp1252", True)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_byte_order_mark_is_no_part_of_the_text(mark, tmp_path):
    found = decode(written(tmp_path / "source", "words".encode(mark)))
    assert (found.text, found.encoding) == ("words", mark)


@pytest.mark.parametrize("offset", range(4))
def test_a_character_across_two_chunks_is_whole(offset, tmp_path):
    text = "x" * (SAMPLE_BYTES - offset) + "😀é" * 3
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-8-sig"):
        found = decode(written(tmp_path / "source", text.encode(encoding)))
        assert (found.text, found.guessed) == (text, False)


def test_utf8_with_a_broken_byte_stays_utf8(tmp_path):
    text = documents.TEXTS["czech"][0]
    found = decode(written(tmp_path / "source", (text * 20).encode() + b"\xff" + text.encode()))
    assert (found.text, found.encoding, found.guessed) == (text * 20 + "\ufffd" + text, "utf-8", True)


def test_a_cut_download_stays_utf8(tmp_path):
    found = decode(written(tmp_path / "source", documents.TEXTS["japanese"][0].rstrip().encode()[:-1]))
    assert (found.encoding, found.guessed) == ("utf-8", True)
    assert found.text.endswith("つもりです\ufffd")


def test_too_little_to_tell_is_western_and_said_to_be_a_guess(tmp_path):
    found = decode(written(tmp_path / "source", "façade".encode("cp1252")))
    assert (found.text, found.encoding, found.guessed) == ("façade", "cp1252", True)


def test_what_no_encoding_fits_is_read_as_cp1252_and_said_to_be_a_guess(tmp_path):
    found = decode(written(tmp_path / "source", bytes(range(128, 256)) * 2))
    assert (found.encoding, found.guessed) == ("cp1252", True)


@pytest.mark.parametrize(("length", "truncated"), [(99, False), (100, False), (101, True), (100_000, True)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_text_is_cut_at_the_limit_and_only_beyond_it(length, truncated, encoding, tmp_path):
    text = (documents.TEXTS["western"][0] * (length // 200 + 1))[:length]
    found = decode(written(tmp_path / "source", text.encode(encoding)), limit=100)
    assert (found.text, found.truncated) == (text[:100], truncated)


@pytest.mark.parametrize("content", ["ascii", "cp1252", "zeros", "utf-16"])
def test_memory_is_bound_by_what_is_kept_not_by_the_file(content, tmp_path):
    line = {"ascii": b"words " * 100, "cp1252": documents.TEXTS["western"][0].encode("cp1252"), "zeros": b"", "utf-16": "wörter ".encode("utf-16-le")}[content]
    path = tmp_path / "source"
    with path.open("wb") as file:
        if line:
            block = line * (MIB // len(line))
            for _ in range(64):
                file.write(block)
        else:
            file.truncate(64 * MIB)
    decode(written(tmp_path / "warm-up", line or b"x"))
    tracemalloc.start()
    try:
        found = decode(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.truncated
    assert len(found.text) == 5 * MIB
    # Kept text, once in parts and once joined, at 1 or 2 bytes a character; and what detection takes of 192 KiB.
    assert peak < 24 * MIB


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.binary(max_size=500),
        st.sampled_from([b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\0\0\xfe\xff"]).flatmap(
            lambda mark: st.binary(max_size=50).map(lambda b: mark + b)
        ),
        st.sampled_from(TABLE).flatmap(lambda row: st.binary(max_size=20).map(lambda b: documents.TEXTS[row[0]][0].encode(row[1]) + b)),
    )
)
def test_any_bytes_decode_to_text_that_can_be_stored(tmp_path, data):
    found = decode(written(tmp_path / "source", data))
    assert found.text.encode().decode() == found.text
    assert len(found.text) <= max(len(data), 1)
