from datetime import timedelta

import pytest

from app.domain.selection import Selection
from app.domain.source import State
from tests.unit.doubles import NOW, a_failure, a_record, a_success

SECOND = timedelta(seconds=1)
DONE = a_success(a_record(), committed_at=NOW, media_type="image/png", profile="scans")


@pytest.mark.parametrize(
    "selection",
    [
        Selection(), Selection(state=State.SUCCEEDED), Selection(media_types=("image/png",)), Selection(media_types=("text/plain", "image/*")),
        Selection(profile="scans"), Selection(ended_after=NOW), Selection(ended_before=NOW + SECOND),
        Selection(State.SUCCEEDED, ("image/*",), "scans", NOW - SECOND, NOW + SECOND),
    ],
)  # fmt: skip
def test_it_has_what_is_all_that_was_said(selection):
    assert selection.has(DONE)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(state=State.FAILED), Selection(media_types=("image/jpeg", "text/*")), Selection(profile="default"),
        Selection(ended_after=NOW + SECOND), Selection(ended_before=NOW), Selection(State.SUCCEEDED, ("image/*",), "default"),
    ],
)  # fmt: skip
def test_it_has_nothing_that_is_one_thing_else(selection):
    assert not selection.has(DONE)


def test_what_was_cancelled_wants_to_be_named():
    cancelled = a_failure(a_record(), "cancelled")
    assert cancelled.state is State.CANCELLED
    assert (Selection().has(cancelled), Selection(state=State.CANCELLED).has(cancelled)) == (False, True)


def test_bytes_that_were_never_looked_at_have_no_media_type():
    failed = a_failure(a_record())
    assert (Selection().has(failed), Selection(media_types=("*/*",)).has(failed)) == (True, False)
