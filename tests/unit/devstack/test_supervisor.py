"""The supervisor with stand-ins for the parts, in a process of its own, with a real valkey."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import processes, stack
from devstack import supervisor
from devstack.datadir import DataDir

ROOT = Path(__file__).resolve().parents[3]

STAND_INS = Path(__file__).with_name("stand_ins.py")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def up(folder):
    """Starts the supervisor; `ready` waits for its last line and answers all that it printed."""
    started = []

    class Up:
        def __init__(self, **environ):
            clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "COV_"))}
            ports = {"HEADRACE_PORT": "0", "HEADRACE_FLOWER_PORT": "0", "HEADRACE_METRICS_PORT": "0"}
            self.process = subprocess.Popen(
                [sys.executable, str(STAND_INS), "up"],
                cwd=ROOT,
                env={**clean, **ports, "PYTHONPATH": str(ROOT), "HEADRACE_DATA_DIR": str(folder), "HEADRACE_WORKERS": "2", **environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(self.process)

        def ready(self):
            lines = []
            for line in self.process.stdout:
                lines.append(line.rstrip())
                if line.startswith("ready: "):
                    return lines
            raise AssertionError(self.process.stderr.read())

        def stop(self, sign=signal.SIGTERM):
            began = time.monotonic()
            self.process.send_signal(sign)
            self.process.wait(15)  # the promise
            return time.monotonic() - began

    yield Up
    for process in started:
        process.kill()
        process.communicate()


def get(base_url):
    host, _, port = base_url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.recv(12)


def test_up_prints_key_and_url_last_and_writes_what_runs(up, folder):
    lines = up().ready()
    found = stack.read(folder)
    assert lines[-2:] == [f"api key: {found.api_key}", f"ready: {found.base_url}"]
    assert found.ready
    assert {name: process.kind for name, process in found.processes.items()} == {
        "redis": "redis", "api1": "api", "worker1": "worker", "worker2": "worker", "reconciler": "reconciler", "flower": "flower",
    }  # fmt: skip
    assert all(process.look() for process in found.processes.values())
    assert stat.S_IMODE((folder / "stack.json").stat().st_mode) == 0o600
    assert get(found.base_url) == b"HTTP/1.1 200"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stop_goes_api_first_redis_last_and_leaves_no_process(up, folder, sign):
    it = up()
    it.ready()
    found = stack.read(folder)
    it.stop(sign)
    assert it.process.returncode == 0
    stopped = (folder / "stopped").read_text().split()
    assert stopped[0] == "api1"
    assert sorted(stopped[1:]) == ["flower", "reconciler", "worker1", "worker2"]
    assert not any(process.look() for process in found.processes.values())
    assert not (folder / "stack.json").exists()
    assert "is now ready to exit" in (folder / "logs" / "redis.log").read_text()  # so it had time to write what it held


def test_up_again_on_the_same_data_has_the_same_key_and_redis(up, folder):
    it = up()
    first = it.ready()
    redis = (folder / "redis" / "port").read_text()
    it.stop()
    assert up().ready()[-2] == first[-2]
    assert (folder / "redis" / "port").read_text() == redis


@pytest.mark.parametrize("name", ["api1", "worker2", "reconciler", "flower", "redis"])
def test_what_is_killed_starts_again_and_stack_json_says_so(up, folder, name, eventually):
    up().ready()
    before = stack.read(folder)
    os.kill(before.processes[name].pid, signal.SIGKILL)

    def back():
        now = stack.read(folder).processes
        return name in now and now[name].pid != before.processes[name].pid and now[name].look()

    eventually(back)
    others = {each: process for each, process in stack.read(folder).processes.items() if each != name}
    assert others == {each: process for each, process in before.processes.items() if each != name}


def test_while_the_api_is_away_connections_wait_for_it(up, folder):
    it = up(PAUSE="0.5")
    it.ready()
    found = stack.read(folder)
    os.kill(found.processes["api1"].pid, signal.SIGKILL)
    assert "was ended by SIGKILL" in it.process.stdout.readline()  # so every thread of it is gone
    assert get(found.base_url) == b"HTTP/1.1 200"


def test_a_second_up_on_the_same_data_is_refused_and_the_first_goes_on(up, folder):
    up().ready()
    second = up()
    _, said = second.process.communicate(timeout=30)
    assert second.process.returncode == 1
    assert said.count("\n") == 1
    assert "another stack runs on" in said
    assert all(process.look() for process in stack.read(folder).processes.values())


def test_a_part_that_does_not_start_ends_the_start_with_its_name_and_reason(up, folder):
    it = up(BROKEN="reconciler")
    _, said = it.process.communicate(timeout=30)
    assert it.process.returncode == 1
    assert "headrace: reconciler: ended with status 1\n    cannot go on\n" in said
    assert not (folder / "stack.json").exists()


def test_a_stop_in_the_middle_of_the_start_leaves_nothing(up, folder, eventually):
    it = up(SILENT="reconciler")
    found = eventually(lambda: (now := stack.read(folder)) and "reconciler" in now.processes and now)
    it.stop()
    assert it.process.returncode == 0
    assert not any(process.look() for process in found.processes.values())


def test_nothing_survives_a_supervisor_that_is_killed_and_the_next_one_starts(up, folder, eventually):
    it = up()
    it.ready()
    found = stack.read(folder)
    it.process.kill()
    eventually(lambda: not any(process.look() for process in found.processes.values()))
    up().ready()


def test_what_a_killed_supervisor_left_is_ended_but_never_another_process(folder, eventually):
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleep, start_new_session=True) as left, subprocess.Popen(sleep, start_new_session=True) as other, DataDir(folder) as data:
        try:
            running = {"worker1": stack.Process("worker", left.pid, processes.look(left.pid).started), "api1": stack.Process("api", other.pid, "another start")}
            stack.write(data.path, stack.Stack("http://127.0.0.1:1", "k", 1, processes=running))
            supervisor.end_leftovers(data)
            assert left.wait(5) == -signal.SIGKILL
            assert other.poll() is None
            assert not (folder / "stack.json").exists()
        finally:
            left.kill()
            other.kill()


def test_the_start_does_not_pay_for_what_the_parts_import(tmp_path):
    script = "import sys, json; import devstack.__main__; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"fastapi", "celery", "kombu", "boto3", "redis", "uvicorn", "typer", "rich"} & set(json.loads(done.stdout))
