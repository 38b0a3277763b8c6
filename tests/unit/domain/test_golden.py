"""What released versions wrote, kept as it was (tests/golden/<version>): it is read for ever, and nothing of it gets lost.

For a new release: copy the newest folder, and let it hold what that version writes. Never change an old one.
"""

import json
from pathlib import Path

import pytest

from app.domain.errors import Newer, Unavailable
from app.domain.jobs import ProcessSource
from app.domain.results import RunResult
from app.domain.source import InboxRecord
from app.domain.version import VERSION

GOLDEN = Path(__file__).parents[2] / "golden"
KINDS = {
    "inbox-file": InboxRecord,
    "inbox-url": InboxRecord,
    "inbox-inline": InboxRecord,
    "result-succeeded": RunResult,
    "result-failed": RunResult,
    "job": ProcessSource,
}
LATER = dict.fromkeys(("inbox-file", "inbox-url", "inbox-inline"), 3)
"""The first schema that this version does not know, where it is not 2."""
FILES = sorted(GOLDEN.glob("*/*.json"))


def written(model):
    """As it goes over the wire: records by their names there, jobs by those of Python."""
    return json.loads(model.model_dump_json(by_alias=not isinstance(model, ProcessSource), exclude_none=True))


def test_this_version_has_its_golden_payloads():
    assert {path.stem for path in (GOLDEN / VERSION).iterdir()} == set(KINDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_released_version_wrote_is_read_and_nothing_of_it_is_lost(path):
    text = path.read_text()
    before = json.loads(text)
    again = written(KINDS[path.stem].of_json(text))
    assert {key: again.get(key) for key in before} == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_later_version_adds_survives_the_round_trip(kind):
    before = json.loads((GOLDEN / VERSION / f"{kind}.json").read_text()) | {"from-the-future": {"a": [1]}}
    assert written(KINDS[kind].of_json(json.dumps(before)))["from-the-future"] == {"a": [1]}
    assert written(KINDS[kind].of(before))["from-the-future"] == {"a": [1]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_schema_is_newer_whatever_else_it_says(kind):
    name = "schema_" if kind == "job" else "schema"
    for future in ({name: LATER.get(kind, 2)}, {name: 99, "everything": "else"}):
        for read in (lambda of, future=future: of.of_json(json.dumps(future)), lambda of, future=future: of.of(future)):
            with pytest.raises(Newer) as refused:
                read(KINDS[kind])
            assert isinstance(refused.value, Unavailable)
            assert refused.value.code == "newer_version"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"schema": "2"}', '{"schema": 0}', '{"schema": 1}'])
@pytest.mark.parametrize("kind", ["inbox-file", "job"])
def test_what_is_nothing_of_ours_is_not_newer(kind, text):
    with pytest.raises(ValueError) as refused:
        KINDS[kind].of_json(text)
    assert not isinstance(refused.value, Newer)
