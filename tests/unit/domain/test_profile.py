import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.profile import both, takes

RANGES = st.sampled_from(["*/*", "image/*", "image/png", "image/jpeg", "text/*", "text/plain", "application/pdf"])
TYPES = st.sampled_from(["image/png", "image/jpeg", "text/plain", "application/pdf", "video/mp4"])


@pytest.mark.parametrize(("types", "media_type", "taken"), [((), "a/b", True), (("a/*",), "a/b", True), (("a/b",), "a/c", False), (("*/*",), "a/b", True)])
def test_a_list_takes_what_it_names(types, media_type, taken):
    assert takes(types, media_type) is taken


@given(st.lists(RANGES, max_size=4).map(tuple), st.lists(RANGES, max_size=4).map(tuple), TYPES)
def test_both_lists_take_what_each_of_them_takes(one, other, media_type):
    assert takes(both(one, other), media_type) == (takes(one, media_type) and takes(other, media_type))
