from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import HeadraceError, NotFound
from app.domain.links import LinkExpired, Target, sign, verify
from tests.unit.doubles import ADA, NOW

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
TARGET = Target(ADA, "s-1", 3, "original")
HOUR = timedelta(hours=1)
TOKEN = sign(NEW, TARGET, NOW + HOUR)


@given(st.text(max_size=9), st.integers(1, 10**6), st.sampled_from(["original", "text"]))
def test_what_was_signed_is_read_back(source, run, artifact):
    target = Target(ADA, source, run, artifact)
    assert verify([NEW], sign(NEW, target, NOW + HOUR), NOW) == target


def test_a_link_stands_in_a_path():
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_link_signed_with_the_previous_secret_works_until_that_is_taken_away():
    token = sign(OLD, TARGET, NOW + HOUR)
    assert verify([NEW, OLD], token, NOW) == TARGET
    with pytest.raises(NotFound):
        verify([NEW], token, NOW)


@pytest.mark.parametrize("secrets", [[], [OTHER], [NEW[:-1]], [""]])
def test_without_its_secret_no_link_is_taken(secrets):
    with pytest.raises(NotFound):
        verify(secrets, TOKEN, NOW)


@settings(max_examples=200)
@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=300, exclude_categories=["Cs"]))
def test_a_link_in_which_any_character_was_changed_is_not_taken(place, character):
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(NotFound):
            verify([NEW], changed, NOW)


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(0, len(TOKEN) - 1).map(TOKEN.__getitem__),
        st.integers(0, len(TOKEN) - 1).map(lambda at: TOKEN[:at]),
    )
)
def test_anything_else_is_not_taken_either(token):
    with pytest.raises(NotFound):
        verify([NEW], token, NOW)


def test_a_signature_of_something_else_is_not_a_link():
    payload, _, _ = TOKEN.partition(".")
    _, _, signature = sign(NEW, Target(ADA, "s-2", 3, "original"), NOW + HOUR).partition(".")
    with pytest.raises(NotFound):
        verify([NEW], f"{payload}.{signature}", NOW)


def test_an_old_link_is_gone_and_says_of_which_source():
    assert verify([NEW], TOKEN, NOW + HOUR) == TARGET
    with pytest.raises(LinkExpired) as gone:
        verify([NEW], TOKEN, NOW + HOUR + timedelta(seconds=1))
    assert (gone.value.status, gone.value.code, gone.value.fields) == (410, "link_expired", {"source": "s-1"})
    assert isinstance(gone.value, HeadraceError)
