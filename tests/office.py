"""Office files, made here: each from the XML that its format needs, and no more."""

from __future__ import annotations

from tests.documents import zipped

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_ODF = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"), ("fo", "xsl-fo-compatible"), ("meta", "meta"),
        ("presentation", "presentation"),
    )
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip

CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:dcterms="http://purl.org/dc/terms/"><dc:title>The title</dc:title><dc:creator>A. Writer</dc:creator>'
    "<dcterms:created>2024-02-29T10:30:00Z</dcterms:created><cp:revision>7</cp:revision></cp:coreProperties>"
)
SAID = {"title": "The title", "author": "A. Writer", "created_at": "2024-02-29T10:30:00Z"}


def relations(**targets: str) -> bytes:
    """Of a part: id=type target, or id=type address for what is outside."""
    made = ""
    for name, says in targets.items():
        kind, target = says.split(" ")
        outside = ' TargetMode="External"' if ":" in target else ""
        made += f'<Relationship Id="{name}" Type="{_RELATIONS}/{kind}" Target="{target}"{outside}/>'
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{made}</Relationships>'.encode()


def _package(main: str, members: dict[str, str | bytes]) -> bytes:
    whole: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(main=f"officeDocument {main}", core="core-properties docProps/core.xml"),
        "docProps/core.xml": CORE,
    } | members
    return zipped({name: content.encode() if isinstance(content, str) else content for name, content in whole.items()})


def docx(body: str, *, styles: str = "", numbering: str = "", footnotes: str = "", links: dict[str, str] | None = None) -> bytes:
    targets = {"styles": "styles styles.xml", "numbering": "numbering numbering.xml", "notes": "footnotes footnotes.xml"} | (links or {})
    spaces = f'xmlns:w="{_WORD}" xmlns:r="{_RELATIONS}" xmlns:mc="mc" xmlns:wp="wp"'
    return _package("word/document.xml", {
        "word/document.xml": f"<w:document {spaces}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(**targets),
        "word/styles.xml": f"<w:styles {spaces}>{styles}</w:styles>",
        "word/numbering.xml": f"<w:numbering {spaces}>{numbering}</w:numbering>",
        "word/footnotes.xml": f"<w:footnotes {spaces}>{footnotes}</w:footnotes>",
    })  # fmt: skip


def paragraph(text: str, properties: str = "", manner: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:rPr>{manner}</w:rPr><w:t>{text}</w:t></w:r></w:p>"


def pptx(*slides: str, notes: dict[int, str] | None = None) -> bytes:
    """Slides by the shapes in them. They are kept under names in reverse, so that only the list tells their order."""
    count = len(slides)
    members: dict[str, str | bytes] = {}
    spaces = f'xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}" xmlns:r="{_RELATIONS}"'
    targets, listed = {}, ""
    for index, shapes in enumerate(slides, 1):
        name = f"slides/slide{count - index + 1}.xml"
        targets[f"r{index}"] = f"slide {name}"
        listed += f'<p:sldId id="{255 + index}" r:id="r{index}"/>'
        members[f"ppt/{name}"] = f"<p:sld {spaces}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        if notes and index in notes:
            members[f"ppt/slides/_rels/slide{count - index + 1}.xml.rels"] = relations(
                n=f"notesSlide ../notesSlides/{index}.xml", l="hyperlink https://example.org/"
            )
            members[f"ppt/notesSlides/{index}.xml"] = f"<p:notes {spaces}><p:cSld><p:spTree>{notes[index]}</p:spTree></p:cSld></p:notes>"
    members["ppt/presentation.xml"] = f"<p:presentation {spaces}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>"
    members["ppt/_rels/presentation.xml.rels"] = relations(**targets)
    return _package("ppt/presentation.xml", members)


def shape(*paragraphs: str, kind: str = "") -> str:
    placeholder = f'<p:ph type="{kind}"/>' if kind else ""
    return f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{''.join(paragraphs)}</p:txBody></p:sp>"


def said(text: str, properties: str = "", manner: str = "") -> str:
    return f"<a:p>{properties}<a:r><a:rPr {manner}/><a:t>{text}</a:t></a:r></a:p>"


def xlsx(sheets: dict[str, str], *, strings: str = "", styles: str = "", is_1904: bool = False) -> bytes:
    """Sheets by the XML of their rows."""
    members: dict[str, str | bytes] = {
        "xl/sharedStrings.xml": f'<sst xmlns="{_SHEET}">{strings}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{_SHEET}">{styles}</styleSheet>',
    }
    targets = {"strings": "sharedStrings sharedStrings.xml", "styles": "styles styles.xml"}
    listed = ""
    for index, (name, rows) in enumerate(sheets.items(), 1):
        targets[f"r{index}"] = f"worksheet worksheets/s{index}.xml"
        listed += f'<sheet name="{name}" sheetId="{index}" r:id="r{index}"/>'
        members[f"xl/worksheets/s{index}.xml"] = f'<worksheet xmlns="{_SHEET}"><cols><col min="1"/></cols><sheetData>{rows}</sheetData></worksheet>'
    properties = '<workbookPr date1904="1"/>' if is_1904 else "<workbookPr/>"
    members["xl/workbook.xml"] = f'<workbook xmlns="{_SHEET}" xmlns:r="{_RELATIONS}">{properties}<sheets>{listed}</sheets></workbook>'
    members["xl/_rels/workbook.xml.rels"] = relations(**targets)
    return _package("xl/workbook.xml", members)


def odf(kind: str, body: str, *, mimetype: str, styles: str = "", encrypted: bool = False) -> bytes:
    """`kind`: text, spreadsheet or presentation."""
    lock = "<m:file-entry><m:encryption-data/></m:file-entry>" if encrypted else ""
    parts = {
        "mimetype": mimetype,
        "content.xml": (
            f"<office:document-content {_ODF}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
        ),
        "styles.xml": (
            f'<office:document-styles {_ODF}><office:styles><style:default-style><style:text-properties fo:language="cs" fo:country="CZ"/>'
            "</style:default-style></office:styles></office:document-styles>"
        ),
        "meta.xml": f"<office:document-meta {_ODF}><office:meta><dc:title>The title</dc:title><meta:initial-creator>A. Writer</meta:initial-creator></office:meta></office:document-meta>",
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="m">{lock}</m:manifest>',
    }
    return zipped({name: content.encode() for name, content in parts.items()})


def epub(chapters: dict[str, str], *, spine: list[str] | None = None, algorithm: str = "") -> bytes:
    items = "".join(f'<item id="{name}" href="text/{name}.xhtml" media-type="application/xhtml+xml"/>' for name in chapters)
    order = "".join(f'<itemref idref="{name}"/>' for name in (spine or chapters))
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="c"><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        "OPS/book.opf": (
            '<package xmlns="p" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The title</dc:title><dc:creator>A. Writer</dc:creator>'
            f"<dc:language>en</dc:language></metadata><manifest>{items}</manifest><spine>{order}</spine></package>"
        ),
    } | {f"OPS/text/{name}.xhtml": content for name, content in chapters.items()}
    if algorithm:
        parts["META-INF/encryption.xml"] = f'<encryption xmlns="e"><EncryptedData><EncryptionMethod Algorithm="{algorithm}"/></EncryptedData></encryption>'
    return zipped({name: content.encode() for name, content in parts.items()})
