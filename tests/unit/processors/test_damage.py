"""Any bytes are read, or refused as what they are: nothing but Failed comes out of a processor of ours."""

import zipfile
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_plugin import Failed, Limits
from tests.golden import GOLDEN
from tests.readings import read
from worker.processors.registry import BUILT_IN, Registry

READ = [golden for golden in GOLDEN if golden.processor not in {None, "recording"}]
ZIPPED = [golden for golden in READ if golden.data.startswith(b"PK")]
LIMITS = Limits(text_characters=100_000, pages=50)
REGISTRY = Registry(kind() for kind in BUILT_IN)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def read_or_refused(golden, data):
    processor = REGISTRY.reading(golden.media_type)[0]
    code = None
    try:
        found = read(processor, data, golden.media_type, limits=LIMITS)
    except Failed as failure:
        code = failure.code
    if code is None:
        assert found.text is None or len(found.text) <= LIMITS.text_characters
    else:
        assert code in {"malformed", "encrypted", "bomb"}


@st.composite
def damaged(draw, data):
    broken = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(broken) - 1)))
        what = draw(st.sampled_from(["set", "drop", "double", "cut"]))
        length = draw(st.integers(1, 16))
        if what == "set":
            broken[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif what == "drop":
            del broken[at : at + length]
        elif what == "double":
            broken[at:at] = broken[at : at + length] * draw(st.integers(1, 50))
        elif draw(st.booleans()):
            del broken[at:]
    return bytes(broken)


@pytest.mark.parametrize("golden", READ, ids=lambda golden: f"{golden.filename}-{golden.media_type}")
@FEW
@given(st.data())
def test_any_damage_is_read_or_refused(golden, data):
    read_or_refused(golden, data.draw(damaged(golden.data)))


@pytest.mark.parametrize("golden", ZIPPED, ids=lambda golden: golden.filename)
@FEW
@given(st.data())
def test_damage_within_a_package_is_read_or_refused(golden, data):
    """The archive is sound and so is the check sum of each part; what is in one of them is not."""
    whole = BytesIO()
    with zipfile.ZipFile(BytesIO(golden.data)) as old, zipfile.ZipFile(whole, "w") as new:
        chosen = data.draw(st.sampled_from(old.namelist()))
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, data.draw(damaged(content)) if name == chosen else content)
    read_or_refused(golden, whole.getvalue())


NUMBERS = st.sampled_from(["-1", "0", "99999999999999999999", "1e400", "NaN", "", "x", "\u0661"])


@pytest.mark.parametrize("golden", ZIPPED, ids=lambda golden: golden.filename)
@FEW
@given(st.data())
def test_attributes_that_make_no_sense_are_read_or_refused(golden, data):
    """Each number in an attribute or a value may be any other."""
    import re

    whole = BytesIO()
    with zipfile.ZipFile(BytesIO(golden.data)) as old, zipfile.ZipFile(whole, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            changed = re.sub(r'(?<=")\d+(?=")|(?<=>)\d+(?=<)', lambda found: data.draw(NUMBERS | st.just(found[0])), content)
            new.writestr(name, changed)
    read_or_refused(golden, whole.getvalue())


@pytest.mark.parametrize("golden", READ, ids=lambda golden: f"{golden.filename}-{golden.media_type}")
@pytest.mark.parametrize("other", [b"", b"\0" * 1000, b"PK\5\6" + bytes(18), b"<" * 5000, b"{\\rtf1" + b"{" * 5000, b"\xff\xfe<\0a\0>\0"])
def test_the_bytes_of_something_else_are_read_or_refused(golden, other):
    read_or_refused(golden, other)
