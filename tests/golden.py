"""One document of each type, made here, with what the whole way through must say of it."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, field
from typing import Any

from app.domain import media
from tests import documents, office, pictures


@dataclass(frozen=True)
class Golden:
    filename: str
    data: bytes
    media_type: str
    processor: str | None
    text: str | None = None
    markdown: str | None = None
    says: dict[str, Any] = field(default_factory=dict)
    """Further keys of the result."""
    warnings: tuple[str, ...] = ()
    thumbnail: tuple[int, int] | None = None


def _sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    return buffer.getvalue()


_SLIDE = office.shape(office.said("Welcome"), kind="title") + office.shape(office.said("point"), kind="body")
_CELLS = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2.5</v></c></row>'
_PAGE = '<html lang="en"><title>The title</title><nav>Home</nav><main><h1>One</h1><p>Words with <a href="https://example.org/">a link</a>.</main></html>'
_ODT = '<text:h text:outline-level="1">One</text:h><text:p>Words</text:p>'
_ODS = '<table:table table:name="S"><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell></table:table-row></table:table>'
_ODP = "<draw:page><draw:frame><draw:text-box><text:p>Words</text:p></draw:text-box></draw:frame></draw:page>"
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><title>Harbour</title><text>Lighthouse</text></svg>'

GOLDEN = (
    Golden(
        "a.pdf", documents.pdf(["One page", "Größe"], Title="The title"), media.PDF, "pdf", "One page\fGröße",
        says={"pages": 2, "document": {"title": "The title"}}, thumbnail=(227, 320),
    ),
    Golden(
        "a.docx", office.docx(office.paragraph("One", '<w:outlineLvl w:val="0"/>') + office.paragraph("Words")), media.DOCX, "docx", "One\n\nWords", "# One\n\nWords",
        says={"document": {"title": "The title", "author": "A. Writer", "created_at": "2024-02-29T10:30:00Z"}, "outline": [{"title": "One", "level": 1}]},
    ),
    Golden("a.pptx", office.pptx(_SLIDE, ""), media.PPTX, "pptx", "Welcome\n\n- point\f", "# Welcome\n\n- point", says={"pages": 2}),
    Golden("a.xlsx", office.xlsx({"S": _CELLS}), media.XLSX, "xlsx", "S\n\n1\t2.5", "# S\n\n| 1 | 2.5 |\n| --- | --- |", says={"pages": 1, "details": {"sheets": ["S"]}}),
    Golden("a.odt", office.odf("text", _ODT, mimetype=media.ODT), media.ODT, "odf", "One\n\nWords", "# One\n\nWords", says={"language": "cs-CZ"}),
    Golden("a.ods", office.odf("spreadsheet", _ODS, mimetype=media.ODS), media.ODS, "odf", "S\n\na", "# S\n\n| a |\n| --- |", says={"pages": 1}),
    Golden("a.odp", office.odf("presentation", _ODP, mimetype=media.ODP), media.ODP, "odf", "Words", "Words", says={"pages": 1}),
    Golden("a.epub", office.epub({"c": "<h1>One</h1><p>Words</p>"}), media.EPUB, "epub", "One\n\nWords", "# One\n\nWords", says={"language": "en"}),
    Golden("a.rtf", rb"{\rtf1\ansi\ansicpg1250 k\'f9\'f2\par}", media.RTF, "rtf", "kůň\n"),
    Golden(
        "a.html", _PAGE.encode(), media.HTML, "webpage", "One\n\nWords with a link.", "# One\n\nWords with [a link](https://example.org/).",
        says={"language": "en", "encoding": "utf-8", "details": {"links": ["https://example.org/"]}},
    ),
    Golden("a.md", b"# One\n\nWords\n", media.MARKDOWN, "text", "# One\n\nWords\n", "# One\n\nWords\n", says={"outline": [{"title": "One", "level": 1}]}),
    Golden("a.csv", "名前,住所\n佐藤,東京\n".encode("cp932"), media.CSV, "csv", "名前,住所\n佐藤,東京\n", "| 名前 | 住所 |\n| --- | --- |\n| 佐藤 | 東京 |", says={"encoding": "cp932"}),
    Golden("a.json", b'{"a": 1}', media.JSON, "text", '{"a": 1}'),
    Golden("a.xml", b"<a>words</a>", media.XML, "text", "<a>words</a>"),
    Golden("a.txt", documents.TEXTS["russian"][0].encode("cp866"), media.PLAIN, "text", documents.TEXTS["russian"][0], says={"encoding": "cp866"}),
    *(
        Golden(f"a.{name.rpartition('/')[2]}", pictures.encoded(name), name, "image", says={"width": 60, "height": 40, "frames": 1}, thumbnail=(60, 40))
        for name in pictures.FORMATS
    ),
    Golden("a.heic", pictures.heic(), media.HEIC, "image", says={"width": 64, "height": 64, "frames": 1}, thumbnail=(64, 64)),
    Golden("a.svg", _SVG.encode(), media.SVG, "svg", "Harbour\nLighthouse", says={"width": 40, "height": 30, "document": {"title": "Harbour"}}),
    Golden("a.zip", documents.zipped({"b.txt": b"12345"}), media.ZIP, "archive", "b.txt\t5\n", says={"details": {"members": 1, "unpacked_bytes": 5}}),
    Golden("a.wav", _sound(), "audio/wav", "recording", says={"duration_s": 1.0}),
    Golden("a.bin", b"\x9c\xe5\0\x17\xb1" * 99, media.UNKNOWN, None),
    Golden("a.gif", pictures.encoded("image/png"), "image/png", "image", says={"width": 60}, warnings=("extension_mismatch",), thumbnail=(60, 40)),
)  # fmt: skip
