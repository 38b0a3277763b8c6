import tracemalloc

import pytest

from tests import office
from tests.documents import zipped
from tests.readings import read
from worker.processors.base import Failed, Limits
from worker.processors.xlsx import XlsxProcessor

STYLES = (
    '<numFmts><numFmt numFmtId="170" formatCode="dd/mm/yyyy\\ hh:mm"/><numFmt numFmtId="171" formatCode="[$-409]0.00&quot; days&quot;"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/><xf numFmtId="46"/></cellXfs>'
)
STRINGS = "<si><t>name</t></si><si><r><t>rich </t></r><r><t>text</t></r><rPh><t>not this</t></rPh></si>"


def cell(at, value, kind="n", style=0):
    return f'<c r="{at}" t="{kind}" s="{style}"><v>{value}</v></c>'


def row(number, *cells):
    return f'<row r="{number}">{"".join(cells)}</row>'


def xlsx(sheets, **more):
    limits = more.pop("limits", None)
    return read(XlsxProcessor(), office.xlsx(sheets, strings=STRINGS, styles=STYLES, **more), limits=limits)


def test_the_whole_workbook():
    found = xlsx({
        "Costs": row(1, cell("A1", 0, "s"), cell("B1", 1, "s")) + row(2, cell("A2", 3.10), cell("B2", 45351, style=1)),
        "Rest": row(1, cell("A1", 1, "b"), cell("B1", "#DIV/0!", "e"), '<c r="C1" t="inlineStr"><is><t>in  line</t></is></c>', cell("D1", "made", "str")),
    })  # fmt: skip
    assert found.pages == [
        {"page": 1, "text": "Costs\n\nname\trich text\n3.1\t2024-02-29", "label": "Costs"},
        {"page": 2, "text": "Rest\n\nTRUE\t#DIV/0!\tin line\tmade", "label": "Rest"},
    ]
    assert (
        found.markdown
        == "# Costs\n\n| name | rich text |\n| --- | --- |\n| 3.1 | 2024-02-29 |\n\n# Rest\n\n| TRUE | #DIV/0! | in line | made |\n| --- | --- | --- | --- |"
    )
    assert (found.extracted.pages, found.extracted.details, found.extracted.document) == (2, {"sheets": ["Costs", "Rest"]}, office.SAID)


@pytest.mark.parametrize(
    ("value", "style", "shown"),
    [
        (45351, 0, "45351"), (45351, 1, "2024-02-29"), (45351.4375, 2, "2024-02-29 10:30:00"), (2.5, 3, "2.5"), (1.5, 4, "36:00:00"), (1, 1, "1900-01-01"),
        (59, 1, "1900-02-28"), (61, 1, "1900-03-01"), (0.1 + 0.2, 0, "0.3"), ("1E+20", 0, "1e+20"), (-5, 1, "-5"), ("x", 0, "x"), (9e9, 1, "9000000000"), (5, 99, "5"),
    ],
)  # fmt: skip
def test_numbers_and_moments(value, style, shown):
    assert xlsx({"": row(1, cell("A1", value, style=style))}).text == shown


def test_a_workbook_of_a_mac_counts_from_1904():
    assert xlsx({"": row(1, cell("A1", 0, style=1), cell("B1", 43889, style=1))}, is_1904=True).text == "1904-01-01\t2024-02-29"


def test_empty_rows_and_columns_take_no_room():
    found = xlsx({"": row(3, cell("B3", 1), cell("XFD3", 2)) + row(1048576, cell("XFD1048576", 3))})
    assert found.text == "1\t2\n\t3"


def test_cells_without_an_address_follow_one_another():
    assert xlsx({"": "<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>"}).text == "1\t2\n3"


def test_a_string_that_is_not_there_is_empty():
    assert xlsx({"": row(1, cell("A1", 99, "s"), cell("B1", -1, "s"), cell("C1", 1))}).text == "1"


def test_a_workbook_without_cells_says_so():
    assert xlsx({"": ""}).codes == ["no_text"]


def test_no_more_is_read_than_is_kept():
    rows = "".join(row(n, cell(f"A{n}", "words " * 10, "str")) for n in range(1, 2000))
    found = xlsx({"": rows}, limits=Limits(text_characters=1000))
    assert (len(found.text), found.codes) == (1000, ["truncated"])
    assert len(found.progress) < 100


def test_memory_is_bound_by_what_is_kept():
    data = office.xlsx({"": "".join(f'<row r="{n}"><c r="A{n}"/></row>' for n in range(1, 60_000)) + row(60_000, cell("A60000", 1))})
    read(XlsxProcessor(), office.xlsx({"": row(1, cell("A1", 1))}))
    tracemalloc.start()
    try:
        found = read(XlsxProcessor(), data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.text == "1"
    # What it told of its progress is most of it.
    assert peak < 24 * 1024 * 1024


@pytest.mark.parametrize("data", [zipped({"xl/x.xml": b"<x/>"}), office.xlsx({"": "<row>"}), b"PK\3\4"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(XlsxProcessor(), data)
    assert failure.value.code == "malformed"
