from __future__ import annotations

import pytest

from app.domain.errors import InvalidRequest
from app.domain.urls import LIMIT, check_url, filename


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/a%20b.pdf?x=1&y=%2F#top",
        "HTTPS://EXAMPLE.COM:8443/",
        "http://münchen.example/straße.pdf",
        "http://[2001:db8::1]:80/x",
        "http://127.0.0.1/",  # an address is judged where it is reached
        "http://example.com/a@b",
        "http://example.com/" + "a" * (LIMIT - len("http://example.com/")),
    ],
)
def test_an_absolute_web_url_passes(url):
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/a.pdf",
        "//example.com/",
        "/a.pdf",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,hi",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http:example.com",
        "http:///a.pdf",
        "http://",
        "http://:80/",
        "http://?x",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http://[::1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/a b",
        " http://example.com/",
        "http://example.com/\n",
        "http://exa\tmple.com/",
        "http://example.com/\r\nX-Injected: 1",
        "http://example.com/\x00",
        "http://example.com/\x7f",
        "http://example.com/\x85",
        "http://example.com/\u202egpj.exe",
        "http://example.com/\u2028",
        "http://example.com/\ud800",
        "http://example.com\uff03@127.0.0.1/",
        "http://example.com/" + "a" * (LIMIT - len("http://example.com/") + 1),
    ],
)
def test_anything_else_is_refused_as_invalid(url):
    with pytest.raises(InvalidRequest) as refused:
        check_url(url)
    assert (refused.value.code, refused.value.status) == ("invalid_url", 400)


def test_a_refusal_does_not_repeat_the_url():
    with pytest.raises(InvalidRequest) as refused:
        check_url("http://user:secret@example.com/")
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://example.com/a/report.pdf", "report.pdf"),
        ("http://example.com/a/report.pdf?sign=x/y#z/q", "report.pdf"),
        ("http://example.com/r%C3%A9sum%C3%A9%20%31.pdf", "résumé 1.pdf"),
        ("http://example.com/%2e%2e%2fetc", "../etc"),
        ("http://example.com/%ff.txt", "\ufffd.txt"),
        ("http://example.com/a/", None),
        ("http://example.com", None),
    ],
)
def test_the_file_name_is_the_last_segment_decoded_and_not_cleaned(url, name):
    assert filename(url) == name
