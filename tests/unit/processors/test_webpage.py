import socket

import pytest

from tests.readings import read
from worker.processors.base import Heading
from worker.processors.webpage import WebpageProcessor

LONG = "Many words that say something of the matter, so that it is worth reading to its end. " * 4


def webpage(text, encoding="utf-8"):
    return read(WebpageProcessor(), text if isinstance(text, bytes) else text.encode(encoding), "text/html")


def test_the_whole_page():
    found = webpage(f"""<!DOCTYPE html><html lang="en-GB"><head><title>The
        title</title><meta name="author" content="A. Writer"><style>p {{ color: red }}</style></head><body>
        <header><a href="/">Home</a></header><nav><ul><li><a href="/a">A</a><li><a href="/b">B</a></ul></nav>
        <main><h1>Report</h1><p>{LONG}<p>More, <b>loud</b> and <a href="https://example.org/x">elsewhere</a>.<br>New line
        <ol><li>first<ul><li>inner</li></ul></li><li>second</ol>
        <blockquote><p>quoted</p></blockquote><pre>  as  it
  stands</pre>
        <table><tr><th>a</th><th>b</th></tr><tr><td colspan="2">wide</td></tr></table>
        <img src="http://127.0.0.1:1/x.png" alt="A ship"></main>
        <aside>Read this next</aside><script>var a = "<p>no text</p>"</script><footer>(c) someone</footer></body></html>""")
    words = LONG.strip()
    assert found.text == (
        f"Report\n\n{words}\n\nMore, loud and elsewhere.\nNew line\n\n1. first\n  - inner\n2. second\n\nquoted\n\n  as  it\n  stands\n\na\tb\nwide\t\n\n[A ship]"
    )
    assert found.markdown == (
        f"# Report\n\n{words}\n\nMore, **loud** and [elsewhere](https://example.org/x).\\\nNew line\n\n1. first\n    - inner\n2. second\n\n> quoted\n\n"
        "```\n  as  it\n  stands\n```\n\n| a | b |\n| --- | --- |\n| wide |  |\n\n\\[A ship\\]"
    )
    assert found.extracted.document == {"title": "The title", "author": "A. Writer"}
    assert (found.extracted.language, found.extracted.encoding, found.extracted.outline) == ("en-GB", "utf-8", [Heading("Report", 1)])
    assert found.extracted.details == {"links": ["https://example.org/x"]}


def test_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a look-up"))
    assert webpage('<base href="http://127.0.0.1:1/"><link rel=stylesheet href=a.css><iframe src=b></iframe><img src=c><p>words').text == "words"


def test_without_a_main_element_menus_are_left_out_by_their_links():
    page = f'<div class="x"><a href="/a">Home and all the rest</a></div><p>{LONG}</p><p><a href="/b">Read on</a></p>'
    assert webpage(page).text == LONG.strip()


def test_names_that_authors_give_to_menus_are_known():
    page = f'<div class="site-nav top">go here</div><p>{LONG}</p><div id="sidebar">and there</div><div class="navigate-this">a word</div>'
    assert webpage(page).text == f"{LONG.strip()}\n\na word"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<nav><a href="/a">A</a></nav><a href="/b">B</a>', "B"), ('<nav><a href="/a">A</a></nav>', "A"), ("<nav>Home</nav><main>One</main>", "One"),
        ("<nav>Home</nav><p>One</p>", "One"), (f"<nav>{LONG}</nav><p>x</p>", f"{LONG.strip()}\n\nx"), (f"<main>x</main><p>{LONG}</p>", f"x\n\n{LONG.strip()}"),
    ],
)  # fmt: skip
def test_of_a_page_with_few_words_as_many_are_kept_as_make_sense(page, text):
    assert webpage(page).text == text


def test_a_long_list_of_links_within_the_text_is_a_menu():
    menu = "".join(f"<li><a href='/{n}'>language {n}</a></li>" for n in range(20))
    few = "<li><a href='/x'>see this</a></li>"
    assert webpage(f"<article><ul>{menu}</ul><p>{LONG}</p><ul>{few}</ul></article>").text == f"{LONG.strip()}\n\n- see this"


def test_a_table_for_looks_is_no_table():
    page = f"<table><tr><td><p>{LONG}</p></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"
    assert webpage(page).text == f"{LONG.strip()}\n\na\tb"


def test_what_is_hidden_is_not_said():
    assert webpage('<p>a<span hidden>b</span><span style="display: none">c</span><span aria-hidden="true">d</span>e').text == "ae"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ('<meta charset="iso-8859-2"><p>Žluťoučký'.encode("iso-8859-2"), "iso8859_2"),
        ('<meta http-equiv=Content-Type content="text/html; charset=Shift_JIS"><p>東京'.encode("cp932"), "cp932"),
        ('<meta charset="iso-8859-1"><p>“façade”'.encode("cp1252"), "cp1252"),
        ('<meta charset="utf-8"><p>façade and much more of it: garçon, déjà, être'.encode("cp1252"), "cp1252"),
        ('<?xml version="1.0" encoding="euc-jp"?><html><p>東京'.encode("euc_jp"), "euc_jp"),
        ('<meta charset="iso-2022-jp"><p>東京'.encode("iso2022_jp"), "iso2022_jp"),
        ('<meta charset="shift_jis"><p>東京'.encode(), "utf-8"),
        ('<meta charset="no-such"><p>東京'.encode("utf-16"), "utf-16"),
        (b'<meta charset="hex"><p>words', "utf-8"),
    ],
)
def test_the_declared_encoding_is_taken_where_it_fits(data, encoding):
    found = webpage(data)
    assert found.extracted.encoding == encoding
    assert any(word in found.text for word in ("Žluťoučký", "東京", "façade", "words"))


def test_depth_costs_nothing():
    found = webpage("<div>" * 100_000 + "deep words" + "</div>" * 100_000 + "<p>after")
    assert found.text == "deep words\n\nafter"


@pytest.mark.parametrize(
    "page", ["<b>" * 20_000 + "<div>" + "</b>" * 20_000, "<p><table><p>" * 5_000, "<a href=x>" * 10_000 + "</a>" * 5_000, "</p>" * 10_000, "<li>" * 20_000]
)
def test_tags_that_do_not_fit_are_passed_over(page):
    assert webpage(page + "</b><p>words").text.endswith("words")


def test_a_page_without_words_says_so():
    assert webpage("<html><body><img src=a.png></body></html>").codes == ["no_text"]


def test_a_script_that_does_not_end_has_no_text():
    assert webpage("<p>words<script>if (a < b) {").text == "words"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "#top", "x" * 3000])
def test_links_that_lead_nowhere_are_words(address):
    assert webpage(f'<p><a href="{address}">here</a>').markdown == "here"
