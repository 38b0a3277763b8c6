import pytest

from tests.readings import read
from worker.processors.csvtable import CsvProcessor


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_text_stands_as_it_is_and_markdown_has_the_table(delimiter):
    text = delimiter.join(["name", '"a ""b"" and\nmore"', "c"]) + "\r\n" + delimiter.join(["1", "2", "3"]) + "\r\n\r\n"
    found = read(CsvProcessor(), text.encode())
    assert found.text == text
    assert found.markdown == '| name | a "b" and more | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |'
    assert found.extracted.details == {"rows": 2, "columns": 3, "delimiter": delimiter}


def test_the_delimiter_is_the_one_that_the_lines_have_equally_often():
    found = read(CsvProcessor(), b"a;1,5\nb;2\nc;3,5\nd;4\n")
    assert found.extracted.details["delimiter"] == ";"


@pytest.mark.parametrize("text", ["just words\n", "", "one, two\nthree\nfour\nfive\nsix\n"])
def test_what_is_no_table_has_no_markdown(text):
    found = read(CsvProcessor(), text.encode())
    assert (found.text, found.markdown, found.extracted.details) == (text, None, {})


def test_a_field_without_end_is_no_table():
    text = 'a,"' + "x" * 200_000 + ",b\n"
    found = read(CsvProcessor(), text.encode())
    assert (found.text, found.markdown) == (text, None)


def test_its_encoding_is_found():
    found = read(CsvProcessor(), "名前,住所\n佐藤太郎,東京\n".encode("cp932"))
    assert found.extracted.encoding == "cp932"
    assert "| 佐藤太郎 | 東京 |" in found.markdown
