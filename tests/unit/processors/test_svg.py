import pytest

from tests.readings import read
from worker.processors.base import Failed
from worker.processors.svg import SvgProcessor


def svg(inner, attributes='width="20mm" height="96"', before=""):
    return read(SvgProcessor(), f'<?xml version="1.0"?>{before}<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inner}</svg>'.encode())


def test_the_whole_drawing():
    found = svg(
        "<title>Harbour</title><g><title>a boat</title><text>Light<tspan>house</tspan>\n <title>no other</title></text><path d='M0 0'/></g><style>x</style>"
    )
    assert found.text == "Harbour\na boat\nLighthouse no other"
    assert (found.extracted.width, found.extracted.height, found.extracted.document) == (76, 96, {"title": "Harbour"})
    assert not found.warnings


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('viewBox="0 0 300 150.4"', (300, 150)), ('width="100%" height="1in" viewBox="0,0,300,150"', (300, 96)), ("", (None, None)), ('width="-5"', (None, None)),
        ('width="1e9999" height="9999999999999"', (None, None)), ('width="2.5pc" height="12pt"', (40, 16)),
    ],
)  # fmt: skip
def test_its_size_is_what_a_browser_makes_of_it(attributes, size):
    found = svg("<text>words</text>", attributes)
    assert (found.extracted.width, found.extracted.height) == size


def test_entities_that_editors_write_are_fine():
    found = svg("<text>&name;</text>", before='<!DOCTYPE svg [<!ENTITY name "words &#38;#38; more"> <!ENTITY far SYSTEM "file:///etc/passwd">]>')
    assert found.text == "words & more"


def test_what_lies_outside_is_not_read():
    found = svg("<text>a&far;b</text>", before='<!DOCTYPE svg [<!ENTITY far SYSTEM "file:///etc/passwd">]>')
    assert found.text == "ab"


def test_entities_of_entities_are_a_bomb():
    with pytest.raises(Failed) as failure:
        svg("<text>&b;</text>", before='<!DOCTYPE svg [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]>')
    assert failure.value.code == "bomb"


def test_one_entity_many_times_is_a_bomb():
    with pytest.raises(Failed) as failure:
        svg("<text>" + "&a;" * 10_000 + "</text>", before=f'<!DOCTYPE svg [<!ENTITY a "{"x" * 10_000}">]>')
    assert failure.value.code == "bomb"


@pytest.mark.parametrize("inner", ["<script>alert(1)</script>", '<rect onload="alert(1)"/>'])
def test_a_script_is_said_and_not_told(inner):
    found = svg(f"<text>words</text>{inner}")
    assert (found.text, found.codes) == ("words", ["active_content"])


def test_no_words_are_said():
    assert svg("<path/>").codes == ["no_text"]


@pytest.mark.parametrize("data", [b"<svg><text>", b"<svg></g>", b"no drawing", b" " * 100_000 + b"<svg/>"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(SvgProcessor(), data)
    assert failure.value.code == "malformed"
