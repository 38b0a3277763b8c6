import json

import pytest
from pydantic import ValidationError

from app.domain.events import (
    EVENT,
    EVENT_TYPES,
    Batch,
    ChannelRecovered,
    Outcome,
    SourceAccepted,
    SourceFailed,
    SourceProcessing,
    SourceProgress,
    SourceReceiving,
    SourceSnapshot,
    SourceSucceeded,
)
from app.domain.source import State
from tests.unit.doubles import NOW, SOURCE

COMMON = {"source_uuid": SOURCE, "run": 1, "at": NOW}
OUTCOME = Outcome(source_id=SOURCE, filename="document.pdf", url="https://h/d/x", size=12345)
EVENTS = [
    SourceReceiving.of(SOURCE, 5, 10).model_copy(update={"at": NOW}),
    SourceAccepted.of(SOURCE, 1).model_copy(update={"at": NOW}),
    SourceProcessing(**COMMON, message="Uploading to S3...", type="file-upload", attempt=1, stage="store", progress=90),
    SourceProgress(**COMMON, message="Reading", type="url-upload", attempt=1, stage="fetch", progress=10, stage_progress=25),
    SourceSucceeded(**COMMON, result=OUTCOME, type="file-upload", attempt=1),
    SourceFailed(**COMMON, error="File too large", type="file-upload", code="too_large", retryable=False, attempt=1),
    Batch(at=NOW, event_id="e:4", done=1, failed=1, total=3, percent=66),
    SourceSnapshot(**COMMON, state=State.PROCESSING, attempt=1, stage="fetch", progress=10),
    ChannelRecovered(at=NOW, event_id="e:1"),
]
# The contract's own examples, word for word.
CONTRACT = [
    {"message": "Receiving", "type": "file-upload", "source-uuid": SOURCE, "status": "processing"},
    {"step": f"Hello, I start to process this source: {SOURCE}", "status": 200, "step-status": "processing"},
    {"message": "Uploading to S3...", "type": "file-upload", "source-uuid": SOURCE, "status": "processing"},
    None,
    {"result": {"source-id": SOURCE, "filename": "document.pdf", "url": "https://h/d/x", "size": 12345}, "type": "file-upload", "source-uuid": SOURCE, "status": "success"},
    {"result": "Error", "error": "File too large", "type": "file-upload", "source-uuid": SOURCE, "status": "failure"},
    None,
    None,
    None,
]  # fmt: skip


def without(found, expected):
    """What of `found` the contract names, as deep as it names it."""
    if isinstance(expected, dict):
        return {key: without(found[key], value) for key, value in expected.items()}
    return found


@pytest.mark.parametrize(("event", "expected"), [pair for pair in zip(EVENTS, CONTRACT, strict=True) if pair[1]])
def test_every_event_has_the_contract_s_keys_and_words(event, expected):
    found = json.loads(event.to_json())
    assert without(found, expected) == expected


OURS = {"source-uuid", "run", "at", "event", "type", "status", "attempt"}


@pytest.mark.parametrize(
    ("event", "keys"),
    list(
        zip(
            EVENTS,
            [
                {"event", "source-uuid", "at", "message", "type", "status", "stage", "received", "size", "stage-progress"},
                {"event", "source-uuid", "run", "at", "step", "status", "step-status"},
                OURS | {"message", "stage", "progress"},
                OURS | {"message", "stage", "progress", "stage-progress"},
                OURS | {"result", "progress"},
                OURS | {"result", "error", "code", "retryable"},
                {"event", "event-id", "at", "status", "done", "failed", "total", "percent"},
                OURS - {"type", "status"} | {"state", "stage", "progress"},
                {"event", "recovered", "at", "event-id"},
            ],
            strict=True,
        )
    ),
)
def test_no_other_keys_are_written_than_those_that_are_declared(event, keys):
    assert set(json.loads(event.to_json())) == keys


def test_these_are_all_events_there_are():
    assert tuple(type(event) for event in EVENTS) == EVENT_TYPES


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_read_back_by_its_name(event):
    assert EVENT.validate_json(event.to_json()) == event


@pytest.mark.parametrize("event", EVENTS)
def test_a_field_that_nobody_declared_fails_where_it_is_made(event):
    with pytest.raises(ValidationError):
        type(event)(**event.model_dump(), stranger=1)


@pytest.mark.parametrize("progress", [-1, 101])
def test_progress_is_0_to_100(progress):
    with pytest.raises(ValidationError):
        SourceProcessing(**COMMON, message="m", type="file-upload", attempt=1, progress=progress)


@pytest.mark.parametrize(("received", "size", "percent"), [(0, 10, 0), (5, 10, 50), (9, 10, 90), (10, 10, 100), (11, 10, 100), (5, None, None), (5, 0, None)])
def test_a_receipt_says_the_percent_of_a_length_that_is_known(received, size, percent):
    event = SourceReceiving.of(SOURCE, received, size)
    assert (event.received, event.size, event.stage_progress) == (received, size, percent)


def test_the_result_of_a_success_shows_what_was_found():
    found = json.loads(OUTCOME.model_copy(update={"media_type": "text/plain", "metadata": {"a_b": 1}}).to_json())
    assert found == {
        "source-id": SOURCE, "filename": "document.pdf", "url": "https://h/d/x", "size": 12345, "media_type": "text/plain", "warnings": [], "metadata": {"a_b": 1},
    }  # fmt: skip
