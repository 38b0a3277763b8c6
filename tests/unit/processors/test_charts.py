import io
import zipfile
from xml.etree.ElementTree import fromstring

from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.blocks import Paragraph, Table, plain
from worker.processors.charts import chart
from worker.processors.docx import DocxProcessor


def drawn(xml):
    return list(chart(fromstring(xml)))  # noqa: S314 - our own


def points(name, *values):
    return f"<{name}><ref><cache>" + "".join(f'<pt idx="{index}"><v>{value}</v></pt>' for index, value in enumerate(values)) + f"</cache></ref></{name}>"


SHOWN = (
    "<space><chart><title><tx><rich><p><r><t>Costs</t></r></p></rich></tx></title><plotArea><barChart>"
    f"<ser>{points('tx', 'Last year')}{points('cat', 'Paper', 'Ink')}{points('val', 1, 2.5)}</ser>"
    f"<ser>{points('tx', 'This year')}{points('cat', 'Paper', 'Ink')}{points('val', 3, 4)}</ser>"
    "</barChart></plotArea></chart></space>"
)


def test_series_are_columns_and_categories_rows():
    table = Table((("", "Last year", "This year"), ("Paper", "1", "3"), ("Ink", "2.5", "4")))
    assert drawn(SHOWN) == [Paragraph(plain("Costs")), table]


def test_a_chart_without_numbers_has_its_title_or_nothing():
    assert drawn("<space><chart><title><t> A  title </t></title></chart></space>") == [Paragraph(plain("A title"))]
    assert drawn("<space><other/></space>") == []
    assert list(chart(None)) == []


def test_a_document_shows_the_chart_that_it_refers_to():
    body = '<w:p><w:r><w:t>before</w:t><w:drawing><wp:graphic><chart r:id="c"/></wp:graphic></w:drawing></w:r></w:p>'
    with zipfile.ZipFile(io.BytesIO(office.docx(body, links={"c": "chart charts/chart1.xml"}))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = zipped(members | {"word/charts/chart1.xml": SHOWN.encode()})
    assert read(DocxProcessor(), data).text == "before\n\nCosts\n\n\tLast year\tThis year\nPaper\t1\t3\nInk\t2.5\t4"
