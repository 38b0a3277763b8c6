"""What the floors of the house promise, beside the contracts of import-linter: see docs/architecture.md."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "celeryconfig.py", *sorted(path for folder in ("app", "worker", "devstack", "bench") for path in (ROOT / folder).rglob("*.py"))]
LINES = 350


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return subprocess.run(command, cwd=ROOT, env=clean | environ, capture_output=True, text=True, timeout=100, check=False)


def imported_by(statement: str, tmp_path: Path) -> set[str]:
    """The top-level packages that a fresh interpreter has after the statement."""
    known = {
        "HEADRACE_STORAGE_URL": (tmp_path / "store").as_uri(),
        "HEADRACE_SECRET_KEYS": "s" * 32,
        "HEADRACE_DATA_DIR": str(tmp_path),
    }
    done = run(sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)", **known)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_contracts_of_import_linter_are_kept():
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ kept, 0 broken", done.stdout)


def test_a_worker_does_not_pay_for_the_api(tmp_path):
    loaded = imported_by("import worker.celery_app", tmp_path)
    assert "celery" in loaded
    assert not loaded & {"fastapi", "starlette", "uvicorn", "python_multipart", "boto3"}


def test_the_reconciler_does_not_pay_for_the_api(tmp_path):
    loaded = imported_by("import worker.reconcile", tmp_path)
    assert not loaded & {"fastapi", "starlette", "uvicorn", "python_multipart"}


def test_the_api_does_not_pay_for_the_work(tmp_path):
    loaded = imported_by("import app.main", tmp_path)
    assert "fastapi" in loaded
    assert not loaded & {"celery", "kombu", "pypdfium2", "boto3", "botocore", "worker", "devstack"}


def test_the_package_itself_imports_nothing():
    assert (ROOT / "app/__init__.py").read_text().strip() == ""


def test_the_settings_of_celery_import_no_task():
    imported = set()
    for node in ast.walk(ast.parse((ROOT / "celeryconfig.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    assert imported == {"__future__", "app.domain.jobs", "app.settings"}


def test_no_source_file_is_longer_than_350_lines_without_a_reason_at_its_head():
    assert len(SOURCES) > 80
    long = [str(path.relative_to(ROOT)) for path in SOURCES if len(path.read_text().splitlines()) > LINES and not _reason(path)]
    assert long == [], "split it, or let its docstring say 'More than 350 lines: …'"


def _reason(path: Path) -> bool:
    return "More than 350 lines: " in (ast.get_docstring(ast.parse(path.read_text())) or "")
