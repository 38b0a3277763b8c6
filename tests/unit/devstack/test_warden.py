import os
import signal
import subprocess
import sys

import pytest

from app.cli import processes
from devstack import warden as wardens

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
PARENT = f"import subprocess; print(subprocess.Popen({SLEEP}).pid, flush=True)"


@pytest.mark.parametrize("leads", [True, False], ids=["a leader", "one of our group"])
def test_what_it_holds_ends_with_it_and_nothing_else_does(warden, leads):
    with subprocess.Popen(SLEEP, start_new_session=leads) as held, subprocess.Popen(SLEEP) as other:
        try:
            warden.hold(held.pid)
            warden.close()
            assert held.wait(5) == -signal.SIGKILL
            assert other.poll() is None
        finally:
            held.kill()
            other.kill()


def test_a_group_ends_though_its_leader_has_gone(warden, eventually):
    with subprocess.Popen([sys.executable, "-S", "-c", PARENT], start_new_session=True, stdout=subprocess.PIPE) as leader:
        warden.hold(leader.pid)
        left = int(leader.stdout.readline())
    assert processes.look(left)
    warden.close()
    eventually(lambda: processes.look(left) is None)


def test_a_process_that_got_the_number_of_one_that_ended_is_spared(monkeypatch):
    with subprocess.Popen(SLEEP, start_new_session=True) as other:
        seen = processes.look(other.pid)
        starts = iter(["before", seen.started])
        monkeypatch.setattr(wardens, "_started", lambda pid: next(starts))
        wardens._watch([f"{other.pid}\n"])
        assert other.poll() is None
        other.kill()


def test_whoever_starts_goes_on_when_it_was_killed(warden):
    os.kill(warden._process.pid, signal.SIGKILL)
    warden._process.wait(5)
    warden.hold(os.getpid())
