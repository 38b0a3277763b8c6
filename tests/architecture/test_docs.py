"""The documents say what the code does: each list in them is held against the list in the code."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
import typer.main
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import validate as validate_openapi
from prometheus_client import Counter, Gauge, Histogram

from app.cli.__main__ import app as cli
from app.domain.errors import FAILURES
from app.domain.events import EVENT, EVENT_TYPES
from app.domain.jobs import QUEUES
from app.settings import PREFIX, Settings
from app.telemetry import metrics
from docs import generate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
ASYNCAPI = json.loads((DOCS / "asyncapi.json").read_text())
EXAMPLES = generate.examples()

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['event']} at {example['at']}")


def section(page: Path, heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) <= {"-"}]
    return [row for index, row in enumerate(cells) if index not in rules and index + 1 not in rules]


def named(cell: str) -> str:
    return cell.strip("`")


# ------------------------------------------------------------------------------------------------ made from the code


@pytest.mark.parametrize("name", ["settings.md", "openapi.json", "asyncapi.json"])
def test_made_documents_are_fresh(name: str) -> None:
    assert (DOCS / name).read_text() == generate.documents()[DOCS / name], "run `python -m docs.generate`"


def test_every_setting_has_its_row() -> None:
    documented = [named(row[0]) for row in rows((DOCS / "settings.md").read_text())]
    assert documented == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def test_openapi_is_valid() -> None:
    validate_openapi(json.loads((DOCS / "openapi.json").read_text()))


def test_every_metric_has_its_row() -> None:
    made = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge | Histogram)]
    kinds = [(f"{each.describe()[0].name}{'_total' if isinstance(each, Counter) else ''}", each.describe()[0].type) for each in made]
    assert sorted((named(name), kind) for name, kind, _ in rows(section(DOCS / "operations.md", "Metrics"))) == sorted(kinds)


# ------------------------------------------------------------------------------------------------ events


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


def resolve(reference: str) -> Any:
    found = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_asyncapi_hangs_together() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= ASYNCAPI["info"].keys()
    assert all(resolve(reference) for reference in references(ASYNCAPI))
    channel, operation = ASYNCAPI["channels"]["channel"], ASYNCAPI["operations"]["tell"]
    assert resolve(operation["channel"]["$ref"]) is channel
    assert [resolve(message["$ref"]) for message in operation["messages"]] == list(channel["messages"].values())
    assert set(re.findall(r"\{(.+?)\}", channel["address"])) == channel["parameters"].keys()
    for schema in ASYNCAPI["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("model", EVENT_TYPES, ids=lambda model: model.__name__)
def test_every_event_has_a_section_and_an_example(model: type) -> None:
    name = model.model_fields["event"].default
    assert f'"event": "{name}"' in section(DOCS / "events.md", name)
    assert ASYNCAPI["components"]["messages"][name]["examples"]


@each_example
def test_examples_are_what_the_code_writes(example: dict[str, Any]) -> None:
    assert json.loads(EVENT.validate_python(example).to_json()) == example


@each_example
def test_examples_fit_their_schema(example: dict[str, Any]) -> None:
    payload = ASYNCAPI["components"]["messages"][example["event"]]["payload"]
    validator = Draft202012Validator({**ASYNCAPI, **payload})
    validator.validate(example)
    validator.validate({**example, "a-key-of-tomorrow": 1})
    for key in example.keys() - {"event-id", "stage", "waiting-for"} - ({"size", "stage-progress"} if example["event"] == "source.receiving" else set()):
        with pytest.raises(ValidationError):
            validator.validate({name: value for name, value in example.items() if name != key})


# ------------------------------------------------------------------------------------------------ errors


TREES = [ast.parse(path.read_text()) for folder in ("app", "worker", "clients/plugin/src") for path in sorted((ROOT / folder).rglob("*.py"))]


def error_classes() -> dict[str, ast.ClassDef]:
    classes = {node.name: node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found = {"HeadraceError"}
    while more := {name for name, node in classes.items() if any(isinstance(base, ast.Name) and base.id in found for base in node.bases)} - found:
        found |= more
    return {name: classes[name] for name in found}


def strings(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def raised_codes() -> set[str]:
    """Every literal code: of a class, of a call of an error class (its first argument), of `problem` (its second)."""
    classes = error_classes()
    codes = set(FAILURES)
    for node in classes.values():
        for statement in node.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and statement.targets[0].id == "code":
                codes |= strings(statement.value)
    for call in calls():
        if call[0] in classes and call[1].args:
            codes |= strings(call[1].args[0])
        if call[0] == "problem" and len(call[1].args) > 1:
            codes |= strings(call[1].args[1])
    return codes


def calls() -> Iterator[tuple[str, ast.Call]]:
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node


def codes_in(heading: str, column: int) -> set[str]:
    return {named(row[column]) for row in rows(section(DOCS / "errors.md", heading)) if row[column].startswith("`")}


def test_the_collector_of_codes_sees_each_form() -> None:
    assert {"invalid_id", "digest_mismatch", "link_expired", "still_processing", "empty", "unauthorized", "internal"} <= raised_codes()


def test_every_error_code_has_its_row_and_no_row_is_left_over() -> None:
    http, failures, log = codes_in("Answers of the HTTP calls", 1), codes_in("Failures", 0), codes_in("In the log only", 0)
    by_the_framework = {"method_not_allowed"}
    assert http | failures | log == raised_codes() | by_the_framework


def test_every_failure_is_told_with_its_text_and_whether_to_retry() -> None:
    documented = {named(code): (text, retryable == "yes") for code, text, retryable, _ in rows(section(DOCS / "errors.md", "Failures"))}
    assert documented == FAILURES


def test_every_warning_has_its_row() -> None:
    warned = {value for name, call in calls() if name == "Warned" for keyword in call.keywords if keyword.arg == "code" for value in strings(keyword.value)}
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "warn" and node.args:
                warned |= strings(node.args[0])
    assert codes_in("Warnings", 0) == warned


# ------------------------------------------------------------------------------------------------ the tour, the architecture


FILES = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|lua|md|json|yml|toml))`")
ON_THE_WAY = ("app.api.", "app.services.", "app.protocol.", "app.adapters.redis.", "worker.pipeline.", "worker.tasks", "worker.runtime")


@each_page
def test_files_that_a_page_names_exist(page: Path) -> None:
    of_a_user = {"result.json", "document.md", "headrace.json", "sweep.json", "docker-compose.override.yml"}
    missing = {name for name in FILES.findall(page.read_text()) if not any((at / name).exists() for at in (ROOT, page.parent))}
    assert missing - of_a_user == set()


def test_the_tour_names_every_module_on_the_way() -> None:
    graph = grimp.build_graph("app", "worker", cache_dir=None)
    roots = ("app.main", "worker.celery_app", "worker.reconcile")
    walked = {module for root in roots for module in (root, *graph.find_upstream_modules(root)) if module.startswith(ON_THE_WAY)}
    files = {f"{module.replace('.', '/')}.py" for module in walked}
    scripts = {str(path.relative_to(ROOT)) for path in (ROOT / "app/adapters/redis/lua").glob("*.lua")}
    assert len(files) > 30
    wanted = {file for file in files if (ROOT / file).exists()} | scripts  # a package has no file of its name
    assert wanted - set(FILES.findall((DOCS / "tour.md").read_text())) == set()


def test_the_architecture_names_every_key_in_redis() -> None:
    sources = [(ROOT / "app/adapters/redis" / name).read_text() for name in ("keys.py", "events.py")]
    names = {name for source in sources for name in re.findall(r"prefix\}([a-z-]+)", source)}
    cells = [name for row in rows(section(DOCS / "architecture.md", "Redis")) for name in row[0].split(", ")]
    assert {named(name).partition(":")[0] for name in cells} == names | set(QUEUES)


def test_the_architecture_names_every_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["id"] for contract in project["tool"]["importlinter"]["contracts"]}
    assert {name for row in rows(section(DOCS / "architecture.md", "Floors")) for name in re.findall(r"`([a-z-]+)`", row[0])} == contracts


def test_every_library_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    def bare(requirements: list[str]) -> list[str]:
        return [re.split(r"[\[<>=;]", requirement)[0] for requirement in requirements]

    page = DOCS / "adr/0002-libraries.md"
    assert [named(row[0]) for row in rows(section(page, "At run time"))] == bare(project["project"]["dependencies"])
    assert [named(row[0]) for row in rows(section(page, "For development"))] == bare(project["dependency-groups"]["dev"])


def test_the_celery_settings_that_are_explained_are_set() -> None:
    explained = {name for row in rows(section(DOCS / "adr/0004-celery-on-redis.md", "Decision")) for name in re.findall(r"`([a-z]+_\w+)`", row[0])}
    assert len(explained) > 5
    assert explained - set(re.findall(r"[a-z]+_\w+", (ROOT / "celeryconfig.py").read_text())) == set()


def test_every_decision_is_in_the_index() -> None:
    index = re.findall(r"^- \[(.+?)\]\((.+?)\)$", (DOCS / "adr/README.md").read_text(), re.MULTILINE)
    records = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert index == [(page.read_text().splitlines()[0].removeprefix("# "), page.name) for page in records]
    assert [page.name[:4] for page in records] == [f"{number:04}" for number in range(1, len(records) + 1)]


# ------------------------------------------------------------------------------------------------ the threats


def test_every_threat_is_held_by_tests_that_exist() -> None:
    threats = rows(section(DOCS / "security.md", "Threats"))
    assert [number for number, *_ in threats] == [str(number + 1) for number in range(len(threats))]
    for number, *_, held in threats:
        named_here = re.findall(r"`([^`]+)`", held)
        assert named_here, f"nothing holds threat {number}"
        for test in named_here:
            file, _, function = test.partition("::")
            tree = ast.parse((ROOT / file).read_text())
            there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert function in there if function else any(name.startswith("test_") for name in there), test


def test_every_line_of_asvs_on_files_is_answered() -> None:
    asked = ["5.1.1", *(f"5.2.{n}" for n in range(1, 7)), *(f"5.3.{n}" for n in range(1, 4)), *(f"5.4.{n}" for n in range(1, 4))]
    assert [number for number, _, answer in rows(section(DOCS / "security.md", "ASVS 5.0, V5: file handling")) if answer] == asked


# ------------------------------------------------------------------------------------------------ links and commands


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\[[^\]]+\]\(([^)]+)\)", without_fences(page.read_text())):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), target
        assert not anchor or anchor in anchors(to), target


def code_in(page: Path) -> str:
    """What stands in fences and between backticks, one a line."""
    text = page.read_text()
    fences = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join([*fences, *re.findall(r"`([^`\n]+)`", without_fences(text))])


@each_page
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named_here = set(re.findall(r"^make ([a-z0-9-]+)", code_in(page), re.MULTILINE))
    assert named_here - targets == set()


@each_page
def test_commands_that_a_page_names_exist(page: Path) -> None:
    for line in re.findall(r"^(?:\./)?headrace ([a-z].*)$", code_in(page), re.MULTILINE):
        group: Any = typer.main.get_command(cli)
        for word in line.split():
            if not hasattr(group, "commands"):
                break
            assert word in group.commands, line
            group = group.commands[word]


def test_commands_of_the_readme_have_the_right_arguments() -> None:
    lines = re.findall(
        r"^\./headrace (.+?)(?: &)?$", "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)), re.MULTILINE
    )
    assert len(lines) >= 4
    for line in lines:
        command, arguments = typer.main.get_command(cli), shlex.split(line)
        context = command.make_context("headrace", arguments)
        while hasattr(command, "resolve_command"):
            name, command, arguments = command.resolve_command(context, arguments)
            context = command.make_context(name, arguments, parent=context)
