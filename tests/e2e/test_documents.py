"""A document of each type through the running stack, from the upload to what its links lead to."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image

from tests.client import Client, until_closed
from tests.documents import encrypted_pdf, not_a_pdf, ole
from tests.golden import GOLDEN, Golden
from tests.stack import Stack


def processed(client: Client, filename: str, data: bytes) -> dict:
    """The last message of a channel of its own."""
    channel = client.register()
    with client.socket(channel) as ws:
        client.upload(channel, data, filename=filename)
        return until_closed(ws)[-1]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"{golden.filename}-{golden.media_type}")
def test_what_each_type_comes_to(client: Client, golden: Golden) -> None:
    end = processed(client, golden.filename, golden.data)
    assert end["status"] == "success", end
    result = end["result"]
    expected = golden.says
    if golden.processor == "recording" and shutil.which("ffprobe") is None:
        assert [warning["code"] for warning in result["warnings"]] == ["not_probed"]
        expected = {}
    else:
        codes = [warning["code"] for warning in result["warnings"] if warning["code"] != "ocr"]
        assert codes == list(golden.warnings)
    assert (result["media_type"], result.get("processor")) == (golden.media_type, golden.processor)
    assert {key: result.get(key) for key in expected} == expected
    text = result.get("text")
    assert (text and client.http.get(text["url"], follow_redirects=True).text) == golden.text
    markdown = (text or {}).get("markdown-url")
    assert (markdown and client.http.get(markdown, follow_redirects=True).text) == golden.markdown
    picture = result.get("thumbnail")
    assert (picture and (picture["width"], picture["height"])) == golden.thumbnail
    assert result.get("no-thumbnail") == (None if golden.thumbnail else "type")
    if picture:
        answer = client.http.get(picture["url"], follow_redirects=True)
        assert Image.open(io.BytesIO(answer.content), formats=["WEBP"]).size == golden.thumbnail


@pytest.mark.parametrize(
    ("filename", "data", "code"),
    [("a.pdf", encrypted_pdf(), "encrypted"), ("a.pdf", not_a_pdf(), "malformed"), ("a.docx", ole("EncryptedPackage"), "encrypted"), ("a.docx", b"PK\3\4", None)],
)  # fmt: skip
def test_what_cannot_be_read_says_why(client: Client, filename: str, data: bytes, code: str | None) -> None:
    end = processed(client, filename, data)
    assert (end["status"], end.get("code")) == ("failure", code or "malformed")


def test_types_that_are_not_taken_end_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = Stack(tmp_path_factory.mktemp("pictures-only"), accept_types="image/*").start()
    try:
        with running.client() as client:
            assert processed(client, "a.txt", b"words")["code"] == "unsupported_type"
            picture = next(golden for golden in GOLDEN if golden.media_type == "image/png")
            assert processed(client, "a.png", picture.data)["status"] == "success"
    finally:
        running.stop()
