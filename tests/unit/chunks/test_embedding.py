import json
from dataclasses import asdict

import pytest

from headrace_plugin import BATCH, CHUNKS, EMBEDDINGS, Chunk, Failed
from worker.chunks import embedders, embedding
from worker.chunks.embedding import Embedded


class Given:
    """Answers with what it is told to, and remembers what it was asked."""

    name, version = "given", 7

    def __init__(self, answer=lambda chunks: [[float(chunk.chunk), 0.5] for chunk in chunks]):
        self.answer = answer
        self.asked = []

    def embed(self, chunks):
        self.asked.append(list(chunks))
        return self.answer(chunks)


def a_chunk(number):
    return Chunk(number, f"words {number}\u2028", 10 * number, 10 * number + 8, None, ("One", "Two"), 2)


@pytest.fixture
def embed(tmp_path):
    def write(embedder, count):
        lines = [json.dumps(asdict(a_chunk(number + 1)), ensure_ascii=False) + "\n" for number in range(count)]
        (tmp_path / CHUNKS).write_text("".join(lines), encoding="utf-8")
        write.told = []
        found = embedding.write(embedder, tmp_path, count, write.told.append)
        return found, [json.loads(line) for line in (tmp_path / EMBEDDINGS).read_text().splitlines()]

    return write


def test_each_chunk_gets_its_vector_in_batches(embed):
    embedder, count = Given(), 2 * BATCH + 1
    found, lines = embed(embedder, count)
    assert found == Embedded("given", "7", 2)
    assert lines == [{"chunk": number, "vector": [float(number), 0.5]} for number in range(1, count + 1)]
    assert embedder.asked == [[a_chunk(number) for number in range(1, count + 1)][at : at + BATCH] for at in (0, BATCH, 2 * BATCH)]
    assert [told["progress"] for told in embed.told] == [{"done": done, "total": count, "unit": "chunks"} for done in (BATCH, 2 * BATCH, count)]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (lambda _: [], "0 vectors for 2 chunks"),
        (lambda chunks: [[1.0]] * (len(chunks) + 1), "3 vectors for 2 chunks"),
        (lambda _: [[1.0], [1.0, 2.0]], "a vector of 2 numbers among those of 1"),
        (lambda _: [[], []], "empty"),
        (lambda _: [[1.0], [float("nan")]], "no number"),
    ],
)
def test_what_makes_no_sense_is_a_crash(embed, answer, detail):
    with pytest.raises(Failed, match=detail) as failure:
        embed(Given(answer), 2)
    assert failure.value.code == "crash"


def test_any_numbers_will_do(embed):
    _, lines = embed(Given(lambda chunks: ((each for each in (1, True, "2.5")) for _ in chunks)), 1)
    assert lines == [{"chunk": 1, "vector": [1.0, 1.0, 2.5]}]


def test_what_a_reading_left_in_their_place_is_not_written_to(embed, tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / EMBEDDINGS).symlink_to(tmp_path / "elsewhere")
    embed(Given(), 1)
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_one_that_is_not_installed_is_said_to_be_none():
    with pytest.raises(ValueError, match="no embedder 'no-such'"):
        embedders.find("no-such")
