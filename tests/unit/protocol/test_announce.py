import json
from datetime import timedelta

import pytest

from app.domain.errors import FAILURES
from app.domain.links import verify
from app.domain.results import Chunks, Text, Warned
from app.domain.source import State
from app.protocol.announce import Announcer
from tests.unit.doubles import ADA, NOW, SECRET, SOURCE, a_failure, a_record, a_success, announcer


def told(result):
    return json.loads(announcer().ended(ADA, result).to_json())


def test_a_success_is_told_in_the_contract_s_words():
    event = told(a_success(a_record(filename="document.pdf"), size=12345))
    assert (event["status"], event["type"], event["source-uuid"]) == ("success", "file-upload", SOURCE)
    assert set(event["result"]) >= {"source-id", "filename", "url", "size"}
    assert (event["result"]["source-id"], event["result"]["filename"], event["result"]["size"]) == (SOURCE, "document.pdf", 12345)


def test_the_url_of_a_success_is_our_own_signed_link_to_the_bytes():
    url = told(a_success(a_record(base_url="https://up.example")))["result"]["url"]
    assert url.startswith("https://up.example/d/")
    target = verify([SECRET], url.rpartition("/")[2], NOW)
    assert (target.owner, target.source, target.run, target.artifact) == (ADA, SOURCE, 1, "original")


def test_what_the_processing_found_stands_beside_it():
    result = a_success(
        a_record(metadata={"k": 1}), media_type="application/pdf", sha256="ab", pages=2, document={"title": "T"},
        text=Text(characters=3, words=1, preview="abc"), warnings=[Warned(code="w", message="m")], chunks=Chunks(count=7, embedder="e", dimensions=3),
    )  # fmt: skip
    found = told(result)["result"]
    assert (found["media_type"], found["sha256"], found["pages"], found["document"], found["metadata"]) == (
        "application/pdf",
        "ab",
        2,
        {"title": "T"},
        {"k": 1},
    )
    assert found["warnings"] == [{"code": "w", "message": "m"}]
    assert verify([SECRET], found["text"]["url"].rpartition("/")[2], NOW).artifact == "text"
    assert (found["chunks"]["count"], found["chunks"]["embedder"], found["chunks"]["dimensions"]) == (7, "e", 3)
    assert verify([SECRET], found["chunks"]["url"].rpartition("/")[2], NOW).artifact == "chunks"
    assert "embeddings-url" not in found["chunks"], "a link leads to what is there"


@pytest.mark.parametrize("code", FAILURES)
def test_every_failure_is_told_in_the_contract_s_words(code):
    event = told(a_failure(a_record(url="http://example.com/"), code))
    message, retryable = FAILURES[code]
    assert (event["status"], event["type"], event["result"], event["error"]) == ("failure", "url-upload", "Error", message)
    assert (event["code"], event["retryable"], event["source-uuid"]) == (code, retryable, SOURCE)


def test_a_cancelled_run_is_told_as_a_failure():
    event = json.loads(announcer().cancelled(a_record()).to_json())
    assert (event["status"], event["code"]) == ("failure", "cancelled")
    assert told(a_success(a_record(), state=State.CANCELLED, code="cancelled"))["code"] == "cancelled"


@pytest.mark.parametrize("make", [a_success, a_failure])
def test_whoever_says_the_end_says_the_same(make):
    result = make(a_record())
    assert announcer().ended(ADA, result) == announcer().ended(ADA, result)
    assert announcer().ended(ADA, result).at == result.committed_at


def test_a_link_is_signed_anew_each_time_with_the_current_secret_and_lives_from_then_on():
    result = a_success(a_record())
    later = Announcer(["t" * 32, SECRET], timedelta(hours=1), lambda: NOW + timedelta(days=9))
    token = later.link(ADA, result, "original").rpartition("/")[2]
    assert verify(["t" * 32], token, NOW + timedelta(days=9, minutes=59)).source == SOURCE
