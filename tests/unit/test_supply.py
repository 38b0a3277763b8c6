"""deploy/sbom.py and deploy/audit.py: what we are made of, and what is known of it."""

import re
import sys

import pytest

from deploy import audit, sbom

PINS = sbom.PINS.read_text()


def test_the_bill_of_materials_has_every_pin_with_its_hashes():
    made = sbom.document(PINS)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", PINS, re.MULTILINE))
    assert {one["name"]: one["version"] for one in made["components"]} == {name.lower(): version for name, version in pinned.items()}
    assert sum(len(one["properties"]) for one in made["components"]) == PINS.count("--hash=sha256:")
    assert all(one["properties"] and one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in made["components"])
    assert len({one["bom-ref"] for one in made["components"]}) == len(made["components"])
    assert any("licenses" in one for one in made["components"])


CLEAN, SKIPPED = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}
HOLE = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1"}]}


@pytest.mark.parametrize(
    ("told", "trouble", "status", "said"),
    [
        ([CLEAN], "", 0, ["audited: 1 packages, no known hole"]),
        ([CLEAN, HOLE], "", 1, ["known hole: c 2: CVE-1"]),
        ([CLEAN, SKIPPED], "", 0, ["NOT AUDITED: 1 of 2 packages: b"]),
        ([SKIPPED, HOLE], "", 1, ["known hole: c 2: CVE-1", "NOT AUDITED: 1 of 2 packages: b"]),
        ([], "it is away", 0, ["NOT AUDITED: it is away. This says nothing about the dependencies"]),
    ],
)
def test_what_could_not_be_asked_is_said_and_is_no_clean_verdict(told, trouble, status, said):
    assert audit.verdict(told, trouble) == (status, said)


@pytest.mark.parametrize("script", ["import sys; sys.exit('no service')", "print('no json')", "print('[]')"])
def test_a_tool_that_says_nothing_of_use_is_not_taken_for_good(tmp_path, script):
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!{sys.executable}\n{script}\n")
    tool.chmod(0o755)
    told, trouble = audit.ask(str(tool))
    assert (told, audit.verdict(told, trouble)[1][0].startswith("NOT AUDITED")) == ([], True)


def test_without_the_tool_it_says_so():
    assert audit.ask(None) == ([], "pip-audit is not installed")
    assert audit.ask("/no/such/tool")[0] == []
