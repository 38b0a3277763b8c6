"""An installed embedder in the running stack: for uploads that ask for it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator

import pytest

from tests.client import Client
from tests.plugins.installed import install
from tests.stack import Stack


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With tests/plugins/tally where the workers find it."""
    site = install("tally", tmp_path_factory.mktemp("site"))
    running = Stack(tmp_path_factory.mktemp("embedding"), embedder="tally", embedding_wall_seconds="5")
    running.environ["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(embedding: Stack) -> Iterator[Client]:
    with embedding.client() as made:
        yield made


def uploaded(client: Client, body: bytes, **options: object) -> dict:
    """The source once it has ended."""
    channel, source = client.register(), str(uuid.uuid4())
    fields = [("ws-uuid", (None, channel)), ("source-uuid", (None, source)), ("options", (None, json.dumps(options))), ("file", ("a.txt", body))]
    assert client.http.post("/public/sources/upload-source", files=fields).status_code == 200
    return client.wait(source)


def test_whoever_asks_gets_vectors_beside_the_chunks(client: Client) -> None:
    result = uploaded(client, b"aaee", **{"generate-embedding": True})["result"]
    chunks = result["chunks"]
    assert (chunks["count"], chunks["embedder"], chunks["embedder-version"], chunks["dimensions"]) == (1, "tally", "1.0", 5)
    assert client.http.get(chunks["embeddings-url"], follow_redirects=True).json() == {"chunk": 1, "vector": [0.5, 0.5, 0.0, 0.0, 0.0]}
    assert client.http.get(f"/public/sources/{result['source-id']}/embeddings", follow_redirects=True).json()["chunk"] == 1


@pytest.mark.parametrize(("asked", "status"), [(True, "COMPLETED"), (False, "DISABLED")])
def test_the_synchronous_call_says_whether_it_was_done(client: Client, asked: bool, status: str) -> None:
    body = {"source-id": str(uuid.uuid4()), "filename": "d.json", "generate-embedding": asked, "data": {"k": "words"}}
    answer = client.http.post("/public/sources/upload-source/sync", json=body)
    assert (answer.status_code, answer.json()["embedding-status"]) == (200, status)


def test_whoever_does_not_ask_gets_none(client: Client) -> None:
    source = uploaded(client, b"words")
    assert source["result"]["chunks"] is None
    assert client.http.get(f"/public/sources/{source['source-uuid']}/embeddings").status_code == 404


@pytest.mark.parametrize(("body", "code"), [(b"CRASH", "crash"), (b"HANG", "timeout")])
def test_what_it_does_to_one_source_is_a_failure_of_that_source_alone(client: Client, body: bytes, code: str) -> None:
    ended = uploaded(client, body, **{"generate-embedding": True})
    assert (ended["state"], ended["code"], ended["attempt"]) == ("failed", code, 1)
    assert uploaded(client, b"aeiou", **{"generate-embedding": True})["state"] == "succeeded"
