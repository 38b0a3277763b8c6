import logging

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.api.multipart import FIELD_LIMIT_BYTES, PARTS_LIMIT, Field, FileBegins, FileBytes, FileEnds, MultipartReader, boundary
from app.domain.errors import InvalidRequest

BOUNDARY = b"----x7"


def form(*parts: tuple[str, bytes] | tuple[str, bytes, str], mark: bytes = BOUNDARY) -> bytes:
    """A body; a part with a third member is a file of that name."""
    out = b""
    for name, value, *filename in parts:
        more = f'; filename="{filename[0]}"\r\nContent-Type: text/plain' if filename else ""
        out += b"--" + mark + f'\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return out + b"--" + mark + b"--\r\n"


def read(chunks: list[bytes]) -> list[object]:
    """The parts of a body that comes in these chunks, each file's bytes joined."""
    reader = MultipartReader(BOUNDARY)
    out: list[object] = []
    for chunk in chunks:
        for part in reader.feed(chunk):
            if not isinstance(part, FileBytes):
                out.append(part)
            elif isinstance(out[-1], bytes):
                out[-1] += bytes(part.chunk)
            else:
                out.append(bytes(part.chunk))
    reader.close()
    return out


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    return [body[start:stop] for start, stop in zip(places, places[1:], strict=False)]


BODY = form(("ws-uuid", b"w-1"), ("file", b"ab\r\n--\r\n----x\r\n------x\r\n------x7-\r", "a.txt"), ("source-uuid", b"s-1"), ("empty", b""))
PARTS = [
    Field("ws-uuid", "w-1"),
    FileBegins("file", "a.txt", "text/plain"), b"ab\r\n--\r\n----x\r\n------x\r\n------x7-\r", FileEnds(),
    Field("source-uuid", "s-1"),
    Field("empty", ""),
]  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.integers(0, len(BODY)), max_size=12))
@example(list(range(len(BODY))))
def test_the_chunks_of_a_body_change_nothing(cuts):
    assert read(split(BODY, cuts)) == PARTS


def test_any_one_cut_changes_nothing():
    for place in range(len(BODY) + 1):
        assert read([BODY[:place], BODY[place:]]) == PARTS


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", BOUNDARY, b"\r\n--" + BOUNDARY[:-1], b"x", b"\0"]), max_size=20),
    st.lists(st.integers(0, 999), max_size=8),
)
def test_a_file_that_looks_like_boundaries_comes_through_whole(pieces, cuts):
    content = b"".join(pieces)
    if b"\r\n--" + BOUNDARY in b"\r\n" + content:
        return
    parts = read(split(form(("file", content, "a.txt"), ("ws-uuid", b"w")), cuts))
    assert b"".join(part for part in parts if isinstance(part, bytes)) == content
    assert parts[-1] == Field("ws-uuid", "w")


def test_a_body_that_ends_anywhere_before_its_closing_boundary_is_refused():
    for place in range(len(BODY) - len(b"--\r\n")):
        reader = MultipartReader(BOUNDARY)
        with pytest.raises(InvalidRequest) as refused:
            reader.feed(BODY[:place])
            reader.close()
        assert refused.value.code == "malformed_multipart", place


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_noise_raises_nothing_but_invalid_request(noise, cut):
    reader = MultipartReader(BOUNDARY)
    with pytest.raises(InvalidRequest):
        reader.feed(noise[:cut])
        reader.feed(noise[cut:])
        reader.close()


@settings(max_examples=300)
@given(st.integers(0, len(BODY) - 1), st.binary(min_size=0, max_size=6), st.integers(0, 6), st.integers(0, len(BODY)))
def test_a_damaged_body_raises_nothing_but_invalid_request(place, noise, dropped, cut):
    damaged = BODY[:place] + noise + BODY[place + dropped :]
    reader = MultipartReader(BOUNDARY)
    try:
        reader.feed(damaged[:cut])
        reader.feed(damaged[cut:])
        reader.close()
    except InvalidRequest:
        pass


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="abz=\"; \\*:'%/é\0\t", max_size=40).map(str.encode)))
def test_any_part_header_is_read_or_refused(header):
    body = b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; name=" + header + b"\r\n\r\nx\r\n--" + BOUNDARY + b"--\r\n"
    reader = MultipartReader(BOUNDARY)
    try:
        reader.feed(body)
        reader.close()
    except InvalidRequest:
        pass


@settings(max_examples=200)
@given(st.one_of(st.none(), st.text(alphabet=st.characters(max_codepoint=255)), st.text(alphabet="boundary=;\" \\*'%chrset", max_size=60)))
def test_any_content_type_gives_a_boundary_or_is_refused(content_type):
    for value in (content_type, f"multipart/form-data;{content_type}"):
        try:
            found = boundary(value)
        except InvalidRequest:
            continue
        assert 1 <= len(found) <= 70
        MultipartReader(found)


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (None, "not_multipart"),
        ("", "not_multipart"),
        ("application/json", "not_multipart"),
        ("multipart/mixed; boundary=x", "not_multipart"),
        ("multipart/form-data", "not_multipart"),
        ("multipart/form-data; boundary=", "not_multipart"),
        ("multipart/form-data; boundary=" + "x" * 71, "not_multipart"),
        ("multipart/form-data; boundary=x; charset=utf-16", "charset_refused"),
        ("multipart/form-data; boundary=x; charset=idna", "charset_refused"),
        ("multipart/form-data; charset=punycode; boundary=x", "charset_refused"),
        ('multipart/form-data; boundary=x; CHARSET="utf-7"', "charset_refused"),
    ],
)
def test_a_type_that_we_do_not_read_is_refused(content_type, code):
    with pytest.raises(InvalidRequest) as refused:
        boundary(content_type)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "Multipart/Form-Data; Boundary=x",
        'multipart/form-data;boundary="x"',
        "multipart/form-data; charset=UTF-8; boundary=x",
    ],
)
def test_the_boundary_is_found_however_it_is_written(content_type):
    assert boundary(content_type) == b"x"


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        read([body])
    return refused.value


def test_as_many_parts_as_the_limit_are_read_and_one_more_is_refused():
    assert len(read([form(*[(f"f{n}", b"") for n in range(PARTS_LIMIT)])])) == PARTS_LIMIT
    assert refusal(form(*[(f"f{n}", b"") for n in range(PARTS_LIMIT + 1)])).code == "too_many_parts"


def test_a_field_at_the_limit_is_read_and_a_byte_more_is_refused():
    assert read([form(("f", b"x" * FIELD_LIMIT_BYTES))]) == [Field("f", "x" * FIELD_LIMIT_BYTES)]
    assert refusal(form(("f", b"x" * (FIELD_LIMIT_BYTES + 1)))).code == "field_too_large"


def test_a_huge_field_is_refused_before_it_has_come_whole():
    reader = MultipartReader(BOUNDARY)
    reader.feed(form(("f", b""))[: -len(BOUNDARY) - 8])
    with pytest.raises(InvalidRequest):
        for _ in range(FIELD_LIMIT_BYTES // 1000 + 2):
            reader.feed(b"x" * 1000)


def test_a_field_that_is_not_utf_8_is_refused():
    assert refusal(form(("f", b"\xff"))).code == "invalid_field"


def test_a_huge_header_or_too_many_headers_are_refused():
    begin = b"--" + BOUNDARY + b"\r\n"
    assert refusal(begin + b"A: " + b"x" * 10_000).code == "malformed_multipart"
    assert refusal(begin + b"A: x\r\n" * 100).code == "malformed_multipart"


@pytest.mark.parametrize(
    "header", ["", "X: y", "Content-Disposition: attachment; name=a", "Content-Disposition: form-data", "Content-Disposition: form-data; filename=a"]
)
def test_a_part_without_a_name_is_refused(header):
    assert (
        refusal(b"--" + BOUNDARY + b"\r\n" + (header + "\r\n" if header else "").encode() + b"\r\nx\r\n--" + BOUNDARY + b"--\r\n").code == "malformed_multipart"
    )


def test_a_file_keeps_its_name_as_it_was_sent():
    assert read([form(("file", b"x", "r\u00e9sum\u00e9 1.pdf"))])[0] == FileBegins("file", "r\u00e9sum\u00e9 1.pdf", "text/plain")
    assert read([form(("file", b"x", ""))])[0] == FileBegins("file", None, "text/plain")


def test_what_follows_the_closing_boundary_is_ignored():
    assert read([BODY + b"epilogue\r\n", b"--" + BOUNDARY + b"\r\nmore"]) == PARTS


def test_a_client_cannot_fill_the_log(caplog):
    with caplog.at_level(logging.WARNING):
        test_what_follows_the_closing_boundary_is_ignored()
        for _ in range(20):
            refusal(b"no boundary here")
    assert caplog.records == []
