import pytest

from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.base import Failed, Heading
from worker.processors.pptx import PptxProcessor

S, T = office.shape, office.said
TABLE = "<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody>{}</a:txBody></a:tc><a:tc><a:txBody>{}</a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>"


def test_the_whole_presentation():
    first = S(T("Welcome"), kind="ctrTitle") + S(T("a subtitle"), kind="subTitle") + S(T("7"), kind="sldNum")
    second = (
        S(T("point"), T("below", '<a:pPr lvl="1"/>'), T("no point", "<a:pPr><a:buNone/></a:pPr>"), kind="body")
        + S(T("Agenda"), kind="title")
        + "<p:grpSp>"
        + S(T("grouped", manner='b="1"'))
        + "</p:grpSp>"
        + TABLE.format(T("a"), T("b"))
        + '<p:pic><p:nvPicPr><p:cNvPr descr="A ship"/></p:nvPicPr></p:pic>'
    )
    found = read(PptxProcessor(), office.pptx(first, second, notes={2: S(T("say this"), kind="body") + S(T("2"), kind="sldNum")}))
    assert found.extracted.pages == 2
    assert found.pages == [
        {"page": 1, "text": "Welcome\n\na subtitle", "label": "Welcome"},
        {"page": 2, "text": "Agenda\n\n- point\n  - below\n\nno point\n\ngrouped\n\na\tb\n\n[A ship]\n\nNotes:\n\nsay this", "label": "Agenda"},
    ]
    assert found.text == "\f".join(page["text"] for page in found.pages)
    assert found.markdown == (
        "# Welcome\n\na subtitle\n\n# Agenda\n\n- point\n    - below\n\nno point\n\n**grouped**\n\n| a | b |\n| --- | --- |\n\n\\[A ship\\]\n\nNotes:\n\nsay this"
    )
    assert found.extracted.document == office.SAID
    assert found.extracted.outline == [Heading("Welcome", 1, 1), Heading("Agenda", 1, 2)]
    assert found.progress[-1] == {"done": 2, "total": 2, "unit": "pages"}


def test_a_slide_without_words_counts():
    found = read(PptxProcessor(), office.pptx("", S(T("words")), ""))
    assert (found.extracted.pages, found.text) == (3, "\fwords\f")


def test_no_words_at_all_are_said():
    assert read(PptxProcessor(), office.pptx("")).codes == ["no_text"]


def test_a_link_is_kept_where_it_leads_outside():
    link = S('<a:p><a:r><a:rPr><a:hlinkClick r:id="l"/></a:rPr><a:t>there</a:t></a:r></a:p>')
    assert read(PptxProcessor(), office.pptx(link, notes={1: ""})).markdown == "[there](https://example.org/)"


@pytest.mark.parametrize("data", [zipped({"ppt/x.xml": b"<x/>"}), office.pptx(S("<a:p>")), b"PK\3\4"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(PptxProcessor(), data)
    assert failure.value.code == "malformed"
