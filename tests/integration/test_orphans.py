"""A run of tests that is killed leaves none of its servers."""

from __future__ import annotations

import subprocess
import sys

from app.cli import processes
from tests.servers import eventually
from tests.stack import ROOT

HOLDS_A_SERVER = """
import time
from tests.servers import Valkey
with Valkey():
    print("started", flush=True)
    time.sleep(600)
"""


def test_servers_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS_A_SERVER], cwd=ROOT, stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout.readline() == b"started\n"
            servers = processes.descendants(run.pid)
            assert any("valkey-server" in each.command for each in servers)
        finally:
            run.kill()
    eventually(lambda: not any((now := processes.look(each.pid)) and now.started == each.started for each in servers))
