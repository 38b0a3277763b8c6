import pytest

from app.domain import media
from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.base import Failed, Heading
from worker.processors.odf import OdfProcessor

STYLES = (
    '<style:style style:name="T1"><style:text-properties fo:font-weight="bold"/></style:style>'
    '<style:style style:name="T2"><style:text-properties fo:font-style="italic"/></style:style>'
    '<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1"/><text:list-level-style-bullet text:level="2"/></text:list-style>'
)
KINDS = {"text": media.ODT, "spreadsheet": media.ODS, "presentation": media.ODP}


def odf(kind, body, **more):
    return read(OdfProcessor(), office.odf(kind, body, mimetype=KINDS[kind], styles=STYLES, **more), KINDS[kind])


def test_the_whole_text():
    body = (
        '<text:sequence-decls/><text:h text:outline-level="2">Report</text:h>'
        '<text:p>One<text:s text:c="2"/>two<text:tab/>three<text:line-break/>  four   five</text:p>'
        '<text:p><text:span text:style-name="T1">loud</text:span> and <text:a xlink:href="https://example.org/"><text:span text:style-name="T2">there</text:span></text:a></text:p>'
        '<text:list text:style-name="L1"><text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item>'
        "<text:list-item><text:p>second</text:p></text:list-item></text:list>"
        "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell><text:p>b</text:p></table:table-cell>"
        '</table:table-row></table:table-header-rows><table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>c</text:p></table:table-cell></table:table-row></table:table>'
    )
    found = odf("text", body)
    assert found.text == "Report\n\nOne  two\tthree\n four five\n\nloud and there\n\n1. first\n  - inner\n2. second\n\na\tb\nc\tc"
    assert found.markdown == (
        "## Report\n\nOne  two\tthree\\\n four five\n\n**loud** and [*there*](https://example.org/)\n\n1. first\n    - inner\n2. second\n\n| a | b |\n| --- | --- |\n| c | c |"
    )
    assert found.extracted.document == {"title": "The title", "author": "A. Writer"}
    assert (found.extracted.language, found.extracted.pages, found.extracted.outline) == ("cs-CZ", None, [Heading("Report", 2)])


def test_notes_and_boxes_follow_their_paragraph():
    body = (
        "<text:p>claim<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>said elsewhere</text:p></text:note-body></text:note>"
        "<draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box></draw:frame> end</text:p>"
    )
    assert odf("text", body).text == "claim[1] end\n\n[1] said elsewhere\n\nin a box"


def test_what_a_revision_deleted_is_gone():
    assert odf("text", "<text:tracked-changes><text:p>old</text:p></text:tracked-changes><text:p>new</text:p>").text == "new"


def test_sheets_are_pages_and_what_repeats_without_end_is_not_said():
    body = (
        '<table:table table:name="Costs"><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16382"/>'
        '<table:table-cell><text:p>z</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1048575"><table:table-cell/></table:table-row></table:table>'
        '<table:table table:name="Empty"/>'
    )
    found = odf("spreadsheet", body)
    assert found.pages == [{"page": 1, "text": "Costs\n\na\tz", "label": "Costs"}, {"page": 2, "text": "Empty", "label": "Empty"}]
    assert found.extracted.pages == 2


def test_a_cell_that_repeats_a_million_times_is_bounded():
    body = '<table:table><table:table-row table:number-rows-repeated="9999999"><table:table-cell table:number-columns-repeated="9999999"><text:p>w</text:p></table:table-cell></table:table-row></table:table>'
    assert len(odf("spreadsheet", body).text) <= 2_000_000


def test_slides_are_pages():
    body = (
        '<draw:page><draw:frame presentation:class="outline"><draw:text-box><text:list><text:list-item><text:p>point</text:p></text:list-item></text:list></draw:text-box></draw:frame>'
        '<draw:frame presentation:class="title"><draw:text-box><text:p>Welcome</text:p></draw:text-box></draw:frame></draw:page><draw:page/>'
    )
    found = odf("presentation", body)
    assert found.pages == [{"page": 1, "text": "Welcome\n\n- point", "label": "Welcome"}, {"page": 2, "text": ""}]
    assert found.extracted.pages == 2


def test_a_document_without_words_says_so():
    assert odf("text", "<text:p/>").codes == ["no_text"]


def test_a_password_is_encrypted():
    with pytest.raises(Failed) as failure:
        odf("text", "<text:p>words</text:p>", encrypted=True)
    assert failure.value.code == "encrypted"


@pytest.mark.parametrize("data", [zipped({"mimetype": media.ODT.encode()}), office.odf("text", "<text:p>", mimetype=media.ODT), b"PK\3\4"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(OdfProcessor(), data, media.ODT)
    assert failure.value.code == "malformed"
