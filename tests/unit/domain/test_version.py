import tomllib
from pathlib import Path

from app.domain.version import VERSION


def test_the_version_is_the_project_s():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
