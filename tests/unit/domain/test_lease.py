import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain import lease
from app.domain.lease import is_provably_dead, this_worker

NAME = "from app.domain.lease import this_worker; print(this_worker(), flush=True)"
ROOT = Path(__file__).resolve().parents[3]


def child(code=NAME):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.fixture(autouse=True)
def forgetting():
    yield
    forget()


def forget():
    """What this process knows of itself; the tests change it."""
    lease._host.cache_clear()
    lease._worker.cache_clear()


def test_this_worker_lives():
    assert not is_provably_dead(this_worker())


def test_its_name_is_short_enough_for_redis_to_keep_a_record_small(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "ä-long-name-of-a-host." * 10)
    monkeypatch.setattr(os, "getpid", lambda: 4_194_303)
    monkeypatch.setattr(lease, "_started", lambda _pid: "9" * 20)
    forget()
    assert 45 < len(this_worker().encode()) <= 64


def test_hosts_whose_names_begin_alike_are_told_apart(monkeypatch):
    names = []
    for host in ("a-long-name-of-a-host-1", "a-long-name-of-a-host-2"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        forget()
        names.append(this_worker())
    assert names[0] != names[1]
    assert all(name.startswith("a-long-name-of-a") for name in names)


def test_a_child_lives_until_it_is_over_and_reaped_and_is_then_provably_dead():
    with child(NAME + "; input()") as process:
        name = process.stdout.readline().strip()
        assert f"|{process.pid}|" in name
        assert not is_provably_dead(name)
        process.communicate("\n")
    assert is_provably_dead(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read from /proc")
def test_a_child_that_is_over_and_not_yet_reaped_is_dead():
    with child(NAME + "; input()") as process:
        name = process.stdout.readline().strip()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()
        assert is_provably_dead(name)


def test_a_worker_of_another_host_is_never_dead_from_here():
    _, _, rest = this_worker().partition("|")
    assert not is_provably_dead(f"elsewhere|{rest}")
    assert not is_provably_dead(f"elsewhere|{2**22 + 1}|1")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the start of a process is read from /proc")
def test_a_pid_that_another_process_has_now_is_no_sign_of_life():
    host, pid, started = this_worker().split("|")
    assert is_provably_dead(f"{host}|{pid}|{int(started) - 1}")


def test_without_the_start_of_a_process_its_pid_alone_decides(monkeypatch):
    monkeypatch.setattr(lease, "_started", lambda _pid: "")
    forget()
    assert this_worker().endswith(f"|{os.getpid()}|")
    assert not is_provably_dead(this_worker())


def test_a_process_that_we_may_not_look_at_is_not_dead(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not is_provably_dead(this_worker())


@pytest.mark.parametrize("name", ["", "|", "||", "{host}", "{host}|", "{host}|x|1", "{host}|-1|1", "{host}|\u00b2|1", "{host}|99999999999999999999999|1"])
def test_a_name_that_we_cannot_read_is_not_dead(name):
    assert not is_provably_dead(name.format(host=this_worker().partition("|")[0]))
