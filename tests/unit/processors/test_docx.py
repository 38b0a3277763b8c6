import pytest

from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.base import Failed, Heading
from worker.processors.docx import DocxProcessor

P = office.paragraph
STYLES = (
    '<w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val="en-GB"/></w:rPr></w:rPrDefault></w:docDefaults>'
    '<w:style w:styleId="Head"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="Head"/></w:style>'
    '<w:style w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style>'
    '<w:style w:styleId="Bullet"><w:name w:val="List"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>'
)


def docx(body, **parts):
    return read(DocxProcessor(), office.docx(body, styles=STYLES, numbering=NUMBERING, **parts))


def listed(text, number, level=0):
    return P(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def test_the_whole_document():
    """One of everything that is common, as it comes out."""
    body = (
        P("Report", '<w:pStyle w:val="Head"/>')
        + P("A plain * paragraph")
        + P("loud", manner="<w:b/>")
        + listed("first", 2) + listed("inner", 2, 1) + listed("second", 2)
        + P("point", '<w:pStyle w:val="Bullet"/>')
        + "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b|c</w:t></w:r></w:p></w:tc></w:tr>"
          '<w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc></w:tr></w:tbl>'
    )  # fmt: skip
    found = docx(body)
    assert found.text == "Report\n\nA plain * paragraph\n\nloud\n\n1. first\n  1. inner\n2. second\n- point\n\na\tb|c\nwide\t"
    assert found.markdown == (
        "## Report\n\nA plain \\* paragraph\n\n**loud**\n\n1. first\n    1. inner\n2. second\n- point\n\n| a | b\\|c |\n| --- | --- |\n| wide |  |"
    )
    assert found.extracted.document == office.SAID
    assert found.extracted.language == "en-GB"
    assert found.extracted.outline == [Heading("Report", 2)]
    assert not found.warnings


def test_a_style_is_a_heading_where_the_one_below_it_is():
    assert docx(P("Title", '<w:pStyle w:val="Mine"/>')).markdown == "## Title"


def test_a_style_below_itself_ends():
    assert docx(P("words", '<w:pStyle w:val="Loop"/>')).markdown == "words"


def test_the_paragraphs_own_level_goes_before_its_style():
    assert docx(P("a", '<w:pStyle w:val="Head"/><w:outlineLvl w:val="9"/>') + P("b", '<w:outlineLvl w:val="0"/>')).markdown == "a\n\n# b"


def test_numbers_begin_anew_below_another_item():
    found = docx(listed("a", 2) + listed("b", 2, 1) + listed("c", 2, 1) + listed("d", 2) + listed("e", 2, 1))
    assert found.text == "1. a\n  1. b\n  2. c\n2. d\n  1. e"


def test_what_a_revision_deleted_is_gone_and_what_it_put_in_stays():
    body = "<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>away</w:t></w:r></w:moveFrom></w:p>"
    assert docx(body).text == "new"


def test_tabs_breaks_and_hyphens_are_text():
    assert docx("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r></w:p>").text == "a\tb\nc-d"


def test_a_link_leads_where_its_relation_says():
    found = docx('<w:p><w:hyperlink r:id="l"><w:r><w:t>here</w:t></w:r></w:hyperlink></w:p>', links={"l": "hyperlink https://example.org/a(b)"})
    assert (found.text, found.markdown) == ("here", "[here](https://example.org/a%28b%29)")


def test_controls_and_choices_are_looked_through_once():
    box = "<w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
    body = (
        "<w:sdt><w:sdtPr/><w:sdtContent>" + P("in a control") + "</w:sdtContent></w:sdt>"
        f"<w:p><w:r><w:t>around</w:t><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert docx(body).text == "in a control\n\naround\n\nin a box"


def test_a_picture_says_what_it_shows():
    assert docx('<w:p><w:r><w:drawing><wp:docPr descr="A ship"/></w:drawing></w:r></w:p>').text == "[A ship]"


def test_notes_stand_at_the_end_under_the_mark_that_is_in_the_text():
    notes = f'<w:footnote w:id="0" w:type="separator">{P("---")}</w:footnote><w:footnote w:id="1">{P("said elsewhere")}</w:footnote>'
    found = docx('<w:p><w:r><w:t>claim</w:t><w:footnoteReference w:id="1"/></w:r></w:p>', footnotes=notes)
    assert found.text == "claim[1]\n\n[1] said elsewhere"


def test_a_cell_merged_downward_speaks_once_and_a_table_in_a_cell_is_flat():
    inner = f"<w:tbl><w:tr><w:tc>{P('x')}</w:tc><w:tc>{P('y')}</w:tc></w:tr></w:tbl>"
    body = (
        f'<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge w:val="restart"/></w:tcPr>{P("tall")}</w:tc><w:tc>{inner}</w:tc></w:tr>'
        f"<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr>{P('tall')}</w:tc><w:tc>{P('b')}</w:tc></w:tr></w:tbl>"
    )
    assert docx(body).text == "tall\tx y\n\tb"


def test_a_document_without_words_says_so():
    assert docx("<w:p/>").codes == ["no_text"]


def test_text_is_cut_at_the_limit():
    from worker.processors.base import Limits

    found = read(DocxProcessor(), office.docx(P("words ") * 100), limits=Limits(text_characters=50))
    assert (len(found.text), found.truncated, found.codes) == (50, True, ["truncated"])


@pytest.mark.parametrize("data", [
    b"PK\3\4 noise", zipped({"[Content_Types].xml": b"<Types/>"}), office.docx(P("words"))[:-60], office.docx("<w:p>"),
    office.docx(P("words")).replace(b"PK\1\2", b"PK\1\3"),
])  # fmt: skip
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(DocxProcessor(), data)
    assert failure.value.code == "malformed"


@pytest.mark.parametrize("declaration", ['<!DOCTYPE d [<!ENTITY a "boom">]>', '<!DOCTYPE d SYSTEM "http://127.0.0.1/">'])
def test_a_document_type_is_refused(declaration):
    members = {"word/document.xml": f"{declaration}<w:document xmlns:w='w'><w:body/></w:document>".encode()}
    with pytest.raises(Failed, match="DOCTYPE"):
        read(DocxProcessor(), zipped(members))


def test_nesting_without_end_is_malformed():
    deep = "<w:tbl><w:tr><w:tc>" * 3000 + P("x") + "</w:tc></w:tr></w:tbl>" * 3000
    with pytest.raises(Failed) as failure:
        docx(deep)
    assert failure.value.code == "malformed"


def test_progress_goes_by_bytes_and_never_back():
    told = [each["done"] / each["total"] for each in docx(P("words ") * 3000).progress]
    assert told == sorted(told)
    assert told[-1] <= 1
    assert len(told) >= 3000
