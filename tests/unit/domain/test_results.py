"""A result keeps what its acceptance said, so that the same can be run again."""

from datetime import UTC, datetime

import pytest

from app.domain.ids import OwnerId, UploadId
from app.domain.results import acceptance, failed
from app.domain.source import InboxRecord

OWNER = OwnerId("o" * 32)
SAID = {
    "source_uuid": "s", "run": 3, "ws_uuid": "w", "digest": "d", "size": 7, "filename": "a.txt", "declared_type": "text/plain", "url": "http://h/", "stored": True,
    "max_bytes": 9, "types": ["text/*"], "callback_url": "http://c/", "organisation": "acme", "tags": [{"a": "b"}], "metadata": {"c": 1}, "profile": "scans", "options": {"x": True}, "base_url": "http://b",
    "accepted_at": datetime(2026, 1, 2, tzinfo=UTC),
}  # fmt: skip
OF_THE_REQUEST = {"schema_", "traceparent", "upload", "body"}
"""Not of the source: each run has its own."""


@pytest.mark.parametrize("code", ["malformed", "cancelled"])
def test_the_acceptance_comes_back_out_of_a_result_that_failed_whatever_it_said(code):
    assert SAID.keys() | OF_THE_REQUEST == InboxRecord.model_fields.keys(), "a new field has to be kept as well, or is named here"
    record = InboxRecord(**SAID, upload=UploadId("u1"))
    again = acceptance(failed(OWNER, record, code, fence="f"))
    assert again.model_dump(exclude=OF_THE_REQUEST) == record.model_dump(exclude=OF_THE_REQUEST)


def test_bytes_keep_their_place():
    record = InboxRecord(**SAID | {"url": None}, upload=UploadId("u1"))
    assert acceptance(failed(OWNER, record, "malformed", fence="f")).upload == "u1"
