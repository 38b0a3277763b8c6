from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.ids import ChannelId, is_random_uuid
from app.domain.links import Target, sign
from app.domain.tokens import holder, issue, new_ticket, ticket_hash
from tests.unit.doubles import ADA, CHANNEL, EVE, NOW

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
DAY = timedelta(days=1)
TOKEN = issue(NEW, ADA, CHANNEL, NOW + DAY)
IDS = st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=128).map(ChannelId)


@given(IDS, st.sampled_from([ADA, EVE]))
def test_a_token_names_whom_it_was_given_to(channel, owner):
    assert holder([NEW], channel, issue(NEW, owner, channel, NOW + DAY), NOW) == owner


@given(IDS, IDS)
def test_a_token_opens_no_channel_of_another_name(channel, other):
    found = holder([NEW], other, issue(NEW, ADA, channel, NOW + DAY), NOW)
    assert found == (ADA if other == channel else None)


def test_a_token_stands_in_a_query_and_in_a_subprotocol():
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(issue(NEW, ADA, ChannelId("x" * 128), NOW + DAY)) < 150


def test_a_token_lives_until_its_time_and_no_longer():
    assert holder([NEW], CHANNEL, TOKEN, NOW + DAY) == ADA
    assert holder([NEW], CHANNEL, TOKEN, NOW + DAY + timedelta(seconds=1)) is None


def test_a_token_of_the_previous_secret_works_until_that_is_taken_away():
    token = issue(OLD, ADA, CHANNEL, NOW + DAY)
    assert holder([NEW, OLD], CHANNEL, token, NOW) == ADA
    assert holder([NEW], CHANNEL, token, NOW) is None


@pytest.mark.parametrize("secrets", [[], [OTHER], [NEW[:-1]], [""]])
def test_without_its_secret_no_token_is_taken(secrets):
    assert holder(secrets, CHANNEL, TOKEN, NOW) is None


@settings(max_examples=300)
@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=0xDFFF))
def test_a_token_in_which_any_character_was_changed_is_not_taken(place, character):
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    assert (holder([NEW], CHANNEL, changed, NOW) == ADA) is (changed == TOKEN)


@given(st.one_of(st.text(st.characters()), st.integers(0, len(TOKEN) - 1).map(lambda at: TOKEN[:at]), st.text().map(lambda more: TOKEN + "." + more)))
def test_anything_else_is_not_taken_either(token):
    assert holder([NEW], CHANNEL, token, NOW) is None


def test_the_owner_of_one_token_does_not_go_with_the_signature_of_another():
    payload, _, _ = issue(NEW, EVE, CHANNEL, NOW + DAY).partition(".")
    _, _, signature = TOKEN.partition(".")
    assert holder([NEW], CHANNEL, f"{payload}.{signature}", NOW) is None


def test_a_signed_link_is_no_token():
    assert holder([NEW], CHANNEL, sign(NEW, Target(ADA, "s-1", 1, "original"), NOW + DAY), NOW) is None


def test_tickets_are_random_and_their_hashes_do_not_tell_them():
    tickets = {new_ticket() for _ in range(100)}
    assert len(tickets) == 100
    assert all(len(ticket) >= 43 and ticket not in ticket_hash(ticket) for ticket in tickets)
    assert len({ticket_hash(ticket) for ticket in tickets}) == 100
    assert ticket_hash("\udcff")


@pytest.mark.parametrize(
    ("name", "random"),
    [
        ("0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d", True),
        ("0B0F1A52-6C0B-4F6E-9D0E-0D3A2F4B5C6D", True),  # uuidgen on macOS
        ("0b0f1a52-6c0b-4f6e-8d0e-0d3a2f4b5c6d", True),
        ("0b0f1a52-6c0b-4f6e-bd0e-0d3a2f4b5c6d", True),
        ("0b0f1a52-6c0b-4f6e-cd0e-0d3a2f4b5c6d", False),  # another variant
        ("0b0f1a52-6c0b-4f6e-7d0e-0d3a2f4b5c6d", False),
        ("0b0f1a52-6c0b-1f6e-9d0e-0d3a2f4b5c6d", False),  # the time and the machine
        ("0b0f1a52-6c0b-5f6e-9d0e-0d3a2f4b5c6d", False),  # the hash of a name
        ("0b0f1a52-6c0b-7f6e-9d0e-0d3a2f4b5c6d", False),  # the time, then random: fewer bits
        ("00000000-0000-0000-0000-000000000000", False),
        ("0b0f1a526c0b4f6e9d0e0d3a2f4b5c6d", False),
        ("0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d-2", False),
        ("x0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d", False),
        ("0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6", False),
        ("0b0f1a526-c0b-4f6e-9d0e-0d3a2f4b5c6d", False),
        ("abc-123", False),
        ("urn:uuid:0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d", False),
    ],
)
def test_which_names_are_random_uuids(name, random):
    assert is_random_uuid(ChannelId(name)) is random
