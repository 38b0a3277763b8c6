from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.identity import Scope
from app.domain.ids import owner_id
from app.domain.signature import seal
from app.domain.upload_token import PREFIX, UploadToken, mint, read

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECRET, OTHER = "s" * 32, "o" * 32


def token(**changes):
    told = {"owner": owner_id("acme", "ada"), "organisation": "acme", "scopes": frozenset({Scope.UPLOAD}), "expires": NOW + timedelta(minutes=5)}
    return UploadToken(**told | changes)


def test_a_token_is_read_as_it_was_minted():
    minted = token(max_bytes=10, types=("image/*",), count=3, profile="scans", metadata={"a": "ä"})
    assert read([SECRET], mint(SECRET, minted), NOW) == minted


def test_a_token_of_the_previous_secret_is_good_and_of_another_none():
    assert read([OTHER, SECRET], mint(SECRET, token()), NOW) is not None
    assert read([OTHER], mint(SECRET, token()), NOW) is None


def test_a_token_ends_when_it_says():
    text = mint(SECRET, token())
    assert read([SECRET], text, NOW + timedelta(minutes=5)) is not None
    assert read([SECRET], text, NOW + timedelta(minutes=5, seconds=1)) is None


def test_what_was_sealed_for_something_else_is_no_token():
    assert read([SECRET], PREFIX + seal(SECRET, "socket:c", ["owner", 9999999999]), NOW) is None


@given(st.text(max_size=200))
def test_no_text_of_a_stranger_is_a_token(text):
    assert read([SECRET], text, NOW) is None
    assert read([SECRET], PREFIX + text, NOW) is None


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_changed_token_is_none(at):
    text = mint(SECRET, token())
    changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    assert read([SECRET], changed, NOW) is None
