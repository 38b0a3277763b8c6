import io
import itertools
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain import media
from tests import documents
from worker.processors import sniffing
from worker.processors.sniffing import sniff

WITH_LIBMAGIC = pytest.param("libmagic", marks=pytest.mark.skipif(sniffing.libmagic is None, reason="this system has no libmagic"))

NOISE = bytes(range(256)) * 8
ODT_MIMETYPE = media.ODT.encode()
NOT_DEFLATE = b"\xff" * len(zlib.compress(ODT_MIMETYPE, wbits=-15))
MP3 = b"\xff\xfb\x90\0".ljust(417, b"\0")
"""A frame of 128 kbit/s at 44.1 kHz."""
CONTENT_TYPES = {"[Content_Types].xml": b"<Types/>"}


def box(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + NOISE


def packed(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def misdirected(data: bytes) -> bytes:
    """The directory says that its first member is elsewhere."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 42] + b"\x07\0\0\0" + data[at + 46 :]


def zip64_like(data: bytes) -> bytes:
    """A directory whose length is not in the end record."""
    end = data.rindex(b"PK\x05\x06")
    return data[: end + 12] + b"\xff" * 8 + data[end + 20 :]


# name, bytes, media type
TABLE = [
    # documents
    ("a.pdf", documents.pdf(["words"]), media.PDF),
    ("no-extension", documents.pdf(["words"]), media.PDF),
    ("a.txt", documents.pdf(["words"]), media.PDF),
    ("a.pdf", b"\xef\xbb\xbf\r\n" + documents.pdf(["words"]), media.PDF),
    ("a.pdf", b"HTTP/1.1 200 OK\r\n\r\n\0" + documents.pdf(["words"]), media.PDF),
    ("about-pdf.txt", b"Each one begins with %PDF-1.4, they say.", media.PLAIN),
    ("a.rtf", rb"{\rtf1\ansi Hello}", media.RTF),
    ("a.docx", documents.docx(), media.DOCX),
    ("a.zip", documents.docx(), media.DOCX),
    ("a.docx", documents.zipped({"word/document.xml": b"<w/>"} | CONTENT_TYPES), media.DOCX),
    ("a.pptx", documents.zipped(CONTENT_TYPES | {"ppt/presentation.xml": b"<p/>"}), media.PPTX),
    ("a.xlsx", documents.zipped(CONTENT_TYPES | {"xl/workbook.xml": b"<x/>"}), media.XLSX),
    ("a.odt", documents.zipped({"mimetype": ODT_MIMETYPE, "content.xml": b"<o/>"}), media.ODT),
    ("a.odt", documents.zipped({"content.xml": NOISE * 99, "mimetype": ODT_MIMETYPE}), media.ODT),
    ("a.odt", packed("mimetype", ODT_MIMETYPE), media.ODT),
    ("a.odt", packed("mimetype", ODT_MIMETYPE).replace(zlib.compress(ODT_MIMETYPE, wbits=-15), NOT_DEFLATE), media.ZIP),
    ("a.odt", misdirected(packed("mimetype", ODT_MIMETYPE)), media.ZIP),
    ("a.odt", packed("mimetype", ODT_MIMETYPE, zipfile.ZIP_BZIP2), media.ZIP),
    ("a.odt", b"a stub before the archive".join([b"PK\x03\x04", packed("mimetype", ODT_MIMETYPE)]), media.ODT),
    ("a.docx", documents.zipped(CONTENT_TYPES), media.ZIP),
    ("a.epub", documents.zipped({"mimetype": media.EPUB.encode(), "META-INF/container.xml": b"<c/>"}), media.EPUB),
    ("a.epub", documents.zipped({"META-INF/container.xml": b"<c/>"}), media.EPUB),
    ("a.docx", documents.zipped({"notes.txt": b"word/ is only mentioned"}), media.ZIP),
    ("a.zip", documents.zipped({"mimetype": b"text/html", "a": b""}), media.ZIP),
    ("a.zip", documents.zipped({}), media.ZIP),
    ("cut.docx", documents.docx()[:-60], media.DOCX),
    ("large.docx", zip64_like(documents.docx()), media.DOCX),
    ("a.doc", documents.ole("WordDocument"), media.DOC),
    ("a.xls", documents.ole("Workbook"), media.XLS),
    ("a.ppt", documents.ole("PowerPoint Document"), media.PPT),
    ("a.docx", documents.ole("\x06DataSpaces", "EncryptionInfo", "Version", "EncryptedPackage"), media.ENCRYPTED),
    ("a.msi", documents.ole("Something"), media.OLE),
    ("cut.doc", documents.ole("WordDocument")[:40], media.OLE),
    # pictures, sound, film
    ("a.png", documents.png(), "image/png"),
    ("a.pdf", documents.png(), "image/png"),
    ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE, "image/jpeg"),
    ("a.gif", b"GIF89a\1\0\1\0" + NOISE, "image/gif"),
    ("a.gif", b"GIF89a=1/*" + NOISE + b"*/;alert(1)", "image/gif"),
    ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 " + NOISE, "image/webp"),
    ("a.tif", b"II*\0\x08\0\0\0" + NOISE, "image/tiff"),
    ("a.bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + NOISE, "image/bmp"),
    ("a.txt", b"BMW is a make of cars, and not a bitmap.", media.PLAIN),
    ("a.heic", box(b"heic", b"mif1"), media.HEIC),
    ("a.heic", box(b"mif1", b"mif1", b"heic"), media.HEIC),
    ("a.heif", box(b"mif1", b"mif1"), media.HEIF),
    ("a.avif", box(b"avif", b"mif1"), "image/avif"),
    ("a.mp4", box(b"isom", b"iso2", b"avc1"), "video/mp4"),
    ("a.m4a", box(b"M4A ", b"isom"), "audio/mp4"),
    ("a.mp3", b"ID3\4\0\0" + NOISE, "audio/mpeg"),
    ("a.mp3", b"\xff\xfb\x90\x64" + NOISE, "audio/mpeg"),
    ("noname", MP3 * 3, "audio/mpeg"),
    ("big.bin", MP3 * 2 + NOISE, media.UNKNOWN),
    ("a.ac3", b"\x0b\x77" + NOISE, "audio/ac3"),
    ("a.aac", b"\xff\xf1" + NOISE, "audio/aac"),
    ("a.mp3", b"\xff\x01" + NOISE, media.UNKNOWN),
    ("a.gz", b"\x1f\x8b\x08\0" + NOISE, "application/gzip"),
    # text
    ("a.txt", b"plain words\n", media.PLAIN),
    ("a.exe", b"plain words\n", media.PLAIN),
    ("README", b"plain words\n", media.PLAIN),
    ("a.md", b"# Title\n\nwords\n", media.MARKDOWN),
    ("a.MD", b'<p align="center">A banner</p>\n\n# Title\n', media.MARKDOWN),
    ("a.csv", b"a,b\n1,2\n", media.CSV),
    ("a.txt", b"a,b\n1,2\n", media.PLAIN),
    ("a.json", b'{"a": [1, 2]}\n', media.JSON),
    ("a.txt", b'{"a": [1, 2]}\n', media.JSON),
    ("a.json", b'{"cut": ', media.JSON),
    ("a.json", b"Words, and no JSON.", media.PLAIN),
    ("deep", b"[" * 60_000 + b"]" * 5_000, media.PLAIN),
    ("a.xml", b"<?xml version='1.0'?>\n<!-- c -->\n<feed/>", media.XML),
    ("feed", b"<?xml version='1.0'?>\n<feed/>", media.XML),
    ("a.xml", b"<feed/>", media.XML),
    ("a.xml", b"no tag at all", media.PLAIN),
    ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", media.SVG),
    ("a.txt", b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'lol'>]><svg/>", media.SVG),
    ("a.svg", b"words only", media.PLAIN),
    ("a.html", b"<!DOCTYPE html><title>t</title>", media.HTML),
    ("a.txt", b"\n<!-- c --><HTML><body>", media.HTML),
    ("a.xhtml", b"<?xml version='1.0'?><!DOCTYPE html><html/>", media.HTML),
    ("page", b"<title>no html element</title>", media.HTML),
    ("a.html", "<html>ü</html>".encode("utf-16"), media.HTML),
    ("a.txt", b"end of file as in DOS\r\n\x1a", media.PLAIN),
    *(("a.txt", text.encode(encoding), media.PLAIN) for text, encodings in documents.TEXTS.values() for encoding in encodings),
    # nothing that we know
    ("a.txt", b"\x9c\xe5\0\x17\xb1" * 99, media.UNKNOWN),
    ("a.txt", b"words and a\0NUL", media.UNKNOWN),
    ("a.json", b"\0\1\2\3", media.UNKNOWN),
    ("a.md", b"\x93\0\x01\x02 words\x05" * 99, media.UNKNOWN),
]  # fmt: skip


@pytest.fixture(params=[WITH_LIBMAGIC, "own rules"])
def rules(request, monkeypatch):
    if request.param == "own rules":
        monkeypatch.setattr(sniffing, "libmagic", None)


@pytest.mark.parametrize(("name", "data", "expected"), TABLE, ids=[f"{i}-{row[0]}-{row[2]}" for i, row in enumerate(TABLE)])
def test_bytes_tell_the_type_with_and_without_libmagic(name, data, expected, rules, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(data)
    assert sniff(path, name) == expected


@pytest.mark.skipif(sniffing.libmagic is None, reason="this system has no libmagic")
def test_libmagic_knows_the_long_tail(tmp_path, monkeypatch):
    path = tmp_path / "source"
    path.write_bytes(b"wOFF\0\1\0\0" + NOISE)
    assert sniff(path, "a.woff") == "font/woff"
    monkeypatch.setattr(sniffing, "libmagic", None)
    assert sniff(path, "a.woff") == media.UNKNOWN


def test_an_error_of_libmagic_means_unknown(tmp_path, monkeypatch):
    class Broken:
        class MagicException(Exception):
            pass

        def from_buffer(self, head, *, mime):
            raise self.MagicException

    monkeypatch.setattr(sniffing, "libmagic", Broken())
    path = tmp_path / "source"
    path.write_bytes(NOISE)
    assert sniff(path, "a") == media.UNKNOWN


@pytest.mark.parametrize("kind", ["text", "noise", "zip"])
def test_a_huge_file_is_not_read_whole(kind, tmp_path, rules):
    path = tmp_path / "source"
    if kind == "zip":
        # The directory alone: 100,000 names, over 4 MiB.
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for index in range(50_000):
                archive.writestr(zipfile.ZipInfo(f"{index:040}"), b"")
        path.write_bytes(buffer.getvalue())
        del buffer, archive
    with path.open("ab") as file:
        file.write({"text": b"words ", "noise": NOISE, "zip": b""}[kind])
        if kind != "zip":
            file.truncate(64 * 1024 * 1024)
    sniff(path, "warm-up")
    tracemalloc.start()
    try:
        sniff(path, "a")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


SEEDS = [data[:4096] for _, data, _ in TABLE]


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.one_of(st.binary(min_size=1, max_size=2000), damaged()), name=st.text(max_size=20))
@example(data=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 600, name="a.doc")
@example(data=b"PK\x05\x06" + b"\xff" * 18, name="")
@example(data=b"PK\x03\x04" + b"\xff" * 40, name="a.docx")
def test_any_bytes_have_a_type(data, name, rules, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(data)
    kind, slash, rest = sniff(path, name).partition("/")
    assert all((kind, slash, rest))


def test_an_extension_never_makes_text_of_a_binary(tmp_path, rules):
    path = tmp_path / "source"
    for data, extension in itertools.product([NOISE, documents.png(), documents.docx()], ["txt", "md", "csv", "json", "xml", "svg", "html"]):
        path.write_bytes(data)
        assert not media.is_text(sniff(path, f"a.{extension}"))
