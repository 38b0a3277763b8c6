import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.errors import InvalidRequest
from app.domain.ids import channel_id, new_fence, new_upload, owner_id, source_id


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9._-]{1,130}\n?"), st.text(alphabet="aZ09._-/~ \n\0\u00e9\u0661", max_size=130)))
@example("x" * 128)
@example("x" * 129)
@example("a\n")
@example(".")
@example("..")
@example("...")
def test_an_id_is_accepted_exactly_when_it_is_1_to_128_of_the_alphabet_and_no_dots_alone(value):
    fits = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", value) is not None and value not in {".", ".."}
    for check in (source_id, channel_id):
        if fits:
            assert check(value) == value
        else:
            with pytest.raises(InvalidRequest) as refused:
                check(value)
            assert refused.value.code == ("invalid_id" if value else "missing_field")


@pytest.mark.parametrize("value", [None, ""])
def test_an_id_that_is_missing_is_said_with_its_field(value):
    for check, field in ((source_id, "source-uuid"), (channel_id, "ws-uuid")):
        with pytest.raises(InvalidRequest) as refused:
            check(value)
        assert (refused.value.status, refused.value.code, refused.value.fields) == (400, "missing_field", {"field": field})


def test_a_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(InvalidRequest) as refused:
        source_id("<script>")
    assert "script" not in refused.value.detail


@given(
    st.tuples(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))),
    st.text(max_size=3),
)
def test_an_owner_is_32_hex_characters_and_organisation_and_user_do_not_run_together(pair, more):
    organisation, user = pair
    found = owner_id(organisation, user)
    assert re.fullmatch(r"[0-9a-f]{32}", found)
    assert found == owner_id(organisation, user)
    if more and "\0" not in more:
        assert owner_id(organisation + more, user) != found
        assert owner_id(organisation, user + more) != found


def test_where_the_organisation_ends_counts():
    assert owner_id("ab", "c") != owner_id("a", "bc")


def test_the_name_of_an_owner_is_fixed_for_ever():
    assert owner_id("acme", "ada@example.com") == "2f71b32ce065668edaa15079898ba278"


@pytest.mark.parametrize("make", [new_upload, new_fence])
def test_our_own_names_are_random_and_in_the_alphabet(make):
    names = {make() for _ in range(100)}
    assert len(names) == 100
    assert all(source_id(name) for name in names)
