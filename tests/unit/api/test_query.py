from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from app.api.handshake import asked

NAMES = st.sampled_from(["token", "after", "%74oken", "to+ken", "Token", ""])


@given(st.lists(st.tuples(NAMES, st.text("abZ09=%+.~-_:ü&", max_size=12)), max_size=6).map(lambda pairs: "&".join(f"{name}={text}" for name, text in pairs)))
@example("")
@example("token")
@example("token=&token=a%20b+c&&after=e:1")
def test_the_values_of_a_parameter_are_those_that_starlette_finds(query):
    raw = query.encode("latin-1")
    for name in ("token", "after"):
        assert asked(raw, name) == QueryParams(raw).getlist(name)
