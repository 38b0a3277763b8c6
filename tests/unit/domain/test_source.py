import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.source import EDGES, InboxRecord, State, next_state
from app.domain.wire import parse
from tests.unit.doubles import NOW, a_record

A, P, S, F, C = State.ACCEPTED, State.PROCESSING, State.SUCCEEDED, State.FAILED, State.CANCELLED
ALLOWED = {(A, P), (A, S), (A, F), (A, C), (P, A), (P, P), (P, S), (P, F), (P, C)}


@pytest.mark.parametrize("current", State)
@pytest.mark.parametrize("to", State)
def test_these_edges_exist_and_no_others(current, to):
    if (current, to) in ALLOWED:
        assert next_state(current, to) is to
    else:
        with pytest.raises(ValueError, match="no edge"):
            next_state(current, to)


def test_an_end_is_final_and_only_an_end_is():
    assert {state for state in State if state.is_terminal} == {S, F, C} == {state for state in State if not EDGES[state]}


# Version 1, as it lies in stores: it must be read for ever.
GOLDEN = (
    b'{"schema":1,"source-uuid":"s-1","run":2,"ws-uuid":"w-1","upload":"u","digest":"d1","size":3,"filename":"a.txt","declared-type":"text/plain",'
    b'"tags":[{"a":"b"}],"metadata":{"k":1},"profile":"default","options":{"o":true},"base-url":"http://h","traceparent":"00-x",'
    b'"accepted-at":"2026-01-02T03:04:05Z"}'
)


def test_an_inbox_record_is_written_as_version_1_has_it():
    record = a_record(
        run=2, upload="u", declared_type="text/plain", tags=[{"a": "b"}], metadata={"k": 1}, options={"o": True}, traceparent="00-x"
    )  # fmt: skip
    assert record.to_json() == GOLDEN
    assert InboxRecord.model_validate_json(GOLDEN) == record


def test_the_least_that_a_record_may_say_is_read():
    record = InboxRecord.model_validate_json(
        b'{"schema":1,"source-uuid":"s","ws-uuid":"w","upload":"u","digest":"d","filename":"f","base-url":"b","accepted-at":"2026-01-02T03:04:05Z"}'
    )
    assert (record.run, record.size, record.url, record.profile, record.tags, record.accepted_at) == (1, None, None, "default", [], NOW)


@given(
    st.dictionaries(
        st.from_regex(r"x-[a-z-]{1,8}", fullmatch=True),
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=4,
        ).filter(lambda value: value is not None),
        max_size=4,
    )
)
def test_fields_of_a_later_version_survive_the_round_trip_and_a_new_run(unknown):
    raw = json.loads(GOLDEN) | unknown
    record = InboxRecord.model_validate_json(json.dumps(raw))
    assert json.loads(record.to_json()) == raw
    assert json.loads(record.rerun(9).to_json()) == raw | {"run": 9}


@pytest.mark.parametrize("change", [{"schema": 3}, {"run": 0}, {"size": -1}, {"accepted-at": "2026-01-02T03:04:05"}, {"upload": None}])
def test_a_record_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValidationError):
        InboxRecord.model_validate_json(json.dumps(json.loads(GOLDEN) | change))


def test_a_record_does_not_change():
    with pytest.raises(ValidationError):
        a_record().run = 2


@pytest.mark.parametrize(("url", "kind"), [(None, "file-upload"), ("http://x/", "url-upload")])
def test_the_kind_says_how_the_bytes_came(url, kind):
    assert a_record(url=url).kind == kind


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
        max_leaves=12,
    )
)
def test_whatever_json_we_take_we_can_write_again(value):
    taken = parse(json.dumps(value))
    assert taken == value
    assert InboxRecord.model_validate_json(a_record(metadata={"k": taken}).to_json()).metadata == {"k": value}


def test_the_deepest_json_that_we_take_can_be_written_again():
    deepest = next(depth for depth in range(2000, 0, -1) if _parses("[" * depth + "]" * depth))
    assert 100 <= deepest <= 250
    assert a_record(metadata={"k": {"k": parse("[" * deepest + "]" * deepest)}}).to_json()


def _parses(text):
    try:
        parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", '"\\ud800"', '{"\\udc00": 1}', b"\xff", "9" * 5000, "{'a': 1}", "1 2"])
def test_what_is_not_json_or_could_not_be_written_again_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)
