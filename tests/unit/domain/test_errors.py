import inspect

import pytest

from app.domain import errors
from app.domain.errors import FAILURES, HeadraceError, ProcessingFailed, Unavailable

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HeadraceError) and kind is not ProcessingFailed]


@pytest.mark.parametrize("code", FAILURES)
def test_every_failure_has_a_text_for_the_client_and_says_whether_it_may_be_tried_again(code):
    failed = ProcessingFailed(code, "words for the log")
    message, retryable = FAILURES[code]
    assert (failed.status, failed.code, failed.message, failed.retryable, failed.detail) == (422, code, message, retryable, "words for the log")
    assert message
    assert ProcessingFailed(code).detail == message


def test_these_failures_may_be_tried_again_and_no_others():
    assert {code for code, (_, retryable) in FAILURES.items() if retryable} == {"fetch_failed", "timeout", "storage_failed", "internal"}


def test_a_failure_that_nobody_declared_fails_where_it_is_raised():
    with pytest.raises(KeyError):
        ProcessingFailed("no_such_code")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_a_code_and_a_text(kind):
    error = kind()
    assert 400 <= error.status <= 599
    assert (error.code, str(error)) == (kind.code, kind.code.replace("_", " "))
    assert (kind("own_code", "own words").code, str(kind("own_code", "own words"))) == ("own_code", "own words")


def test_codes_of_kinds_are_distinct():
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_what_is_away_may_be_asked_again_and_says_when():
    assert (Unavailable().retryable, Unavailable().retry_after_seconds, Unavailable(retry_after_seconds=9).retry_after_seconds) == (True, 5, 9)
