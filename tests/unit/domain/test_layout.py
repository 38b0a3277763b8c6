import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.object_key import checked_key, checked_prefix
from app.domain import layout
from tests.unit.doubles import ADA, CHANNEL

IDS = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True).filter(lambda value: value not in {".", ".."})
OWNERS = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)


@given(OWNERS, IDS)
def test_a_member_reads_back(owner, source):
    assert layout.split_member(layout.member(owner, source)) == (owner, source)


@pytest.mark.parametrize("name", ["", "~", "a~", "~s", "owner", "owner/s"])
def test_what_is_no_member_is_refused(name):
    with pytest.raises(ValueError):
        layout.split_member(name)


@given(OWNERS, IDS, IDS, st.integers(1, 10**6))
def test_every_key_is_one_that_stores_take_and_no_two_sources_share_any(owner, source, other, run):
    def keys(name):
        return {
            layout.inbox_key(owner, name), layout.result_key(owner, name, run), layout.artifact_key(owner, name, run, "f", "text"),
            layout.tombstone_key(owner, name), layout.marker_key(name, owner, name),
        }  # fmt: skip

    assert all(checked_key(key) for key in keys(source) | {layout.object_key(owner, "u")})
    assert source == other or not keys(source) & keys(other)
    assert not any(key.startswith(layout.source_prefix(owner, source)) for key in keys(other)) or source == other
    for prefix in (layout.sources_prefix(owner), layout.runs_prefix(owner, source), layout.channel_prefix(source)):
        assert checked_prefix(prefix) == prefix


def test_the_layout_is_the_protocol_and_does_not_change():
    assert layout.LAYOUT_VERSION == 1
    assert [
        layout.object_key(ADA, "u"), layout.inbox_key(ADA, "s"), layout.result_key(ADA, "s", 2), layout.artifact_key(ADA, "s", 2, "f", "text"),
        layout.tombstone_key(ADA, "s"), layout.marker_key(CHANNEL, ADA, "s"), layout.DEPLOYMENT,
    ] == [
        f"objects/{ADA}/u", f"inbox/{ADA}~s", f"sources/{ADA}/s/runs/2/result.json", f"sources/{ADA}/s/runs/2/f/text", f"sources/{ADA}/s/deleted",
        f"channels/w-1/{ADA}/s", "headrace.json",
    ]  # fmt: skip
