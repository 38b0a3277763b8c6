"""Any text where a call of the document takes an id, a cursor, a position, a link or a channel: an answer, and never a fault of ours."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.api.asgi import WHO, request
from tests.unit.api.conftest import application
from tests.unit.doubles import House

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
CALLS = [
    (method.upper(), path, [each["name"] for each in call.get("parameters", []) if each["in"] == "query"])
    for path, methods in DOCUMENT["paths"].items()
    for method, call in methods.items()
]
TEXTS = st.one_of(st.text(max_size=200), st.text(alphabet="aZ09._-/~%:=\n\0\u00e9\u0661", max_size=140), st.sampled_from([".", "..", "9" * 400]))
TEXTS = TEXTS.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))  # no server makes such a path


@pytest.fixture(scope="module")
def running():
    with asyncio.Runner() as runner:
        house = House()
        runner.run(house.__aenter__())
        yield runner, house, application(house)
        runner.run(house.__aexit__())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CALLS), TEXTS, st.text(alphabet=st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=100))
def test_any_text_is_answered(running, call, text, header):
    runner, house, app = running
    method, path, queries = call
    for name in ("source", "ws_uuid", "token"):
        path = path.replace(f"{{{name}}}", text.replace("?", "_"))
    query = "&".join(f"{name}={quote(text, safe='')}" for name in queries)
    answer = runner.run(request(app, method, f"{path}?{query}", [b""], headers=WHO | {"last-event-id": header, "range": f"bytes={header}"}))
    assert answer.raised is None
    assert 200 <= answer.status < 500, answer.body
    assert house.inbox() == []
