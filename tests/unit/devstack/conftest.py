import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from devstack.process import Command
from devstack.warden import Warden


@pytest.fixture
def command(tmp_path):
    """Makes a stand-in: a Command that runs the given Python source."""

    def make(source: str, name: str = "part", kind: str = "worker", **options) -> Command:
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "HERE": str(tmp_path)}
        options.setdefault("ready_line", "ready")
        return Command(name, kind, (sys.executable, "-S", "-c", textwrap.dedent(source)), environ, **options)

    return make


@pytest.fixture
def warden():
    with Warden() as made:
        yield made


@pytest.fixture
def eventually():
    """Waits for what must come, up to 20 s, and fails when it does not."""

    def wait(what, seconds: float = 20):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)
        return found

    return wait


@pytest.fixture
def read_pid(eventually):
    """The number that a stand-in wrote to a file."""

    def read(file: Path) -> int:
        return int(eventually(lambda: file.exists() and file.read_text().strip()))

    return read
