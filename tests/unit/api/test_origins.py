import pytest

from app.api.origins import Origins

OWN = "https://up.example"
FRONT = "https://front.example"


@pytest.mark.parametrize(
    ("allowed", "given", "goes_on"),
    [
        ([], [], True),  # no browser
        ([], [OWN], True),
        ([], [FRONT], False),
        ([], ["null"], False),
        ([], [""], False),
        ([FRONT], [FRONT], True),
        ([FRONT], [FRONT, "https://evil.example"], False),
        ([FRONT], ["http://front.example"], False),
        ([FRONT], [f"{FRONT}:8443"], False),
        ([FRONT], [f"{FRONT}.evil.example"], False),
        ([FRONT], ["https://evil.example/https://front.example"], False),
        ([FRONT], ["null"], False),
        ([FRONT], ["http://localhost:3000"], False),
        (["localhost"], ["http://localhost"], True),
        (["localhost"], ["http://localhost:3000"], True),
        (["localhost"], ["https://127.0.0.1:5173"], True),
        (["localhost"], ["http://[::1]:80"], True),
        (["localhost"], ["http://localhost.evil.example"], False),
        (["localhost"], ["http://localhost:3000.evil.example"], False),
        (["localhost"], ["http://evil.example?http://localhost"], False),
        (["localhost"], ["http://127.0.0.1\n"], False),
        (["localhost"], [FRONT], False),
        (["localhost", FRONT], [FRONT], True),
        (["*"], ["https://evil.example"], True),
    ],
)
def test_which_pages_may_connect(allowed, given, goes_on):
    assert Origins(allowed).allow(given, OWN) is goes_on
