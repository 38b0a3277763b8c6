"""The lines of the README, pasted, do what the README says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import pdf

ROOT = Path(__file__).parents[2]


def pasted(heading: str) -> str:
    text = (ROOT / "README.md").read_text().partition(f"### {heading}\n")[2]
    found = re.search(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash")
def test_the_three_calls_as_they_stand(stack, tmp_path: Path) -> None:
    (tmp_path / ".headrace").symlink_to(stack.folder)
    (tmp_path / "report.pdf").write_bytes(pdf(["Hello world", "A second page"]))
    client = tmp_path / "headrace"  # the real one wants a .venv beside it
    client.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m app.cli "$@"\n')
    client.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environ |= {"HEADRACE_DATA_DIR": str(stack.folder), "no_proxy": "127.0.0.1"}

    script = pasted("The same by hand").replace("http://127.0.0.1:8811", stack.base_url)
    done = subprocess.run(["bash", "-eu"], check=False, input=script, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    said = done.stdout
    channel = re.search(r'{"ws-address":"ws://127.0.0.1:\d+/ws/(.+?)"}', said)
    source = re.search(r'{"message":"Processing file: (.+?)"}', said)
    assert channel, said
    assert source, said
    assert said.count('"status":"success"') == 1
    assert "succeeded · run 1 · attempt 1 · 2 pages" in said
    assert "accepted 0.0 s · claimed" in said
