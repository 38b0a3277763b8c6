"""Chunks, switched on: through the running stack, from the upload to the lines that are served."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from tests import office
from tests.client import Client, until_closed
from tests.documents import pdf
from tests.stack import Stack

DOCX = office.docx(
    office.paragraph("Harbours", '<w:outlineLvl w:val="0"/>')
    + office.paragraph("They are deep.")
    + office.paragraph("Lights", '<w:outlineLvl w:val="1"/>')
    + office.paragraph("A lighthouse stands on a rock. " * 5),
)
ROCK = "A lighthouse stands on a rock."
GOLDEN = {
    "a.docx": (
        DOCX,
        [
            {"chunk": 1, "text": "Harbours\n\nThey are deep.", "start": 0, "end": 24, "page": None, "headings": ["Harbours"], "tokens": 6},
            {"chunk": 2, "text": "Lights", "start": 26, "end": 32, "page": None, "headings": ["Harbours", "Lights"], "tokens": 2},
            {"chunk": 3, "text": f"{ROCK} {ROCK} {ROCK}", "start": 34, "end": 126, "page": None, "headings": ["Harbours", "Lights"], "tokens": 23},
            {"chunk": 4, "text": f"{ROCK} {ROCK}", "start": 127, "end": 188, "page": None, "headings": ["Harbours", "Lights"], "tokens": 16},
        ],
    ),
    "a.pdf": (
        pdf(["One page", "Größe"]),
        [
            {"chunk": 1, "text": "One page", "start": 0, "end": 8, "page": 1, "headings": [], "tokens": 2},
            {"chunk": 2, "text": "Größe", "start": 9, "end": 14, "page": 2, "headings": [], "tokens": 2},
        ],
    ),
}


@pytest.fixture(scope="module")
def chunking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """On, but for one profile."""
    folder = tmp_path_factory.mktemp("chunking")
    (folder / "policy.toml").write_text("[profiles.plain]\nchunks = false\n")
    running = Stack(folder / "data", chunks="true", chunk_characters="100", policy_file=str(folder / "policy.toml")).start()
    yield running
    running.stop()


@pytest.fixture
def client(chunking: Stack) -> Iterator[Client]:
    with chunking.client() as made:
        yield made


def lines(client: Client, path: str) -> list[dict]:
    answer = client.http.get(path, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl; charset=utf-8")
    return [json.loads(line) for line in answer.content.decode().split("\n")[:-1]]


@pytest.mark.parametrize("filename", GOLDEN)
def test_a_document_is_cut_as_its_structure_says(client: Client, filename: str) -> None:
    body, expected = GOLDEN[filename]
    channel = client.register()
    with client.socket(channel) as ws:
        source = client.upload(channel, body, filename=filename)
        events = until_closed(ws)
    result = events[-1]["result"]
    assert "chunk" in [event.get("stage") for event in events]
    assert result["chunks"]["count"] == len(expected)
    assert lines(client, result["chunks"]["url"]) == expected
    assert lines(client, f"/public/sources/{source}/chunks") == expected
    text = client.http.get(f"/public/sources/{source}/text", follow_redirects=True).content.decode()
    assert [text[each["start"] : each["end"]] for each in expected] == [each["text"] for each in expected]


def test_they_go_with_their_source(client: Client, chunking: Stack) -> None:
    word = uuid.uuid4().hex

    def is_kept() -> bool:
        return any(f'{{"chunk": 1, "text": "{word}"'.encode() in path.read_bytes() for path in (chunking.folder / "store").rglob("*") if path.is_file())

    source = client.upload(client.register(), word.encode())
    client.wait(source)
    assert is_kept()
    assert client.http.delete(f"/public/sources/{source}").status_code == 204
    assert client.http.get(f"/public/sources/{source}/chunks").status_code == 404
    assert not is_kept()


def test_a_profile_may_be_without(client: Client) -> None:
    channel, source = client.register(), str(uuid.uuid4())
    fields = [("ws-uuid", (None, channel)), ("source-uuid", (None, source)), ("profile", (None, "plain")), ("file", ("a.txt", b"words"))]
    assert client.http.post("/public/sources/upload-source", files=fields).status_code == 200
    assert client.wait(source)["result"]["chunks"] is None
    assert client.http.get(f"/public/sources/{source}/chunks").status_code == 404
