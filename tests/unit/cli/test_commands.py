import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.adapters.api_keys import ApiKeys
from app.cli import dev, processes, stack

ROOT = Path(__file__).resolve().parents[3]
UUID = "0b0f1a52-6c0b-4f6e-9d0e-0d3a2f4b5c6d"


def test_watch_prints_until_the_server_closes(fake, run):
    fake.messages = [{"step": "Hello"}, {"status": "success"}, "close"]
    done = run("watch", UUID)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"step": "Hello"}, {"status": "success"}]
    assert fake.registered == []


@pytest.mark.parametrize("name", ["abc-123", UUID])
def test_watch_shows_its_key_on_the_handshake_and_registers_nothing(fake, run, name):
    fake.messages = ["close"]
    assert run("watch", name).exit_code == 0
    assert (fake.registered, fake.handshakes) == ([], [("hr_k", "anna")])


def test_show_tells_the_timeline_in_seconds(fake, run):
    at = "2026-01-01T00:00:{:06.3f}Z"
    moments = [("accepted", 0), ("claimed", 0.1), ("worker lost", 1.2), ("claimed", 2.9), ("committed", 11.4)]
    fake.sources["s1"] = {
        "source-uuid": "s1", "state": "succeeded", "run": 1, "attempt": 2, "filename": "big\x1b.pdf", "result": {"pages": 3},
        "timeline": [{"at": at.format(second), "what": what, "attempt": 1} for what, second in moments],
    }  # fmt: skip
    assert run("show", "s1").stdout.splitlines() == [
        "big .pdf · succeeded · run 1 · attempt 2 · 3 pages",
        "accepted 0.0 s · claimed 0.1 · worker lost 1.2 · claimed 2.9 · committed 11.4",
    ]


def test_show_of_nothing_is_one_line_and_exit_code_1(fake, run):
    done = run("show", "absent")
    assert (done.exit_code, done.stderr) == (1, "headrace: 404 not_found: no such source\n")


def test_list_follows_the_pages_up_to_its_limit(fake, run):
    for number in range(3):
        fake.sources[f"s{number}"] = {"source-uuid": f"s{number}", "state": "succeeded", "filename": f"{number}.pdf", "size": 12345, "accepted-at": "2026"}
    done = run("list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["source", "s0", "s1", "s2"]
    assert "12,345" in done.stdout
    assert fake.calls == ["", "cursor=second"]
    assert len(run("list", "--limit", "2").stdout.splitlines()) == 3


def test_delete_deletes(fake, run):
    fake.sources["s1"] = {}
    assert run("delete", "s1").stdout == "s1 deleted\n"
    assert fake.calls == ["DELETE s1"]


def test_cancel_cancels_and_says_why_not(fake, run):
    fake.sources = {"s1": {"state": "processing"}, "s2": {"state": "succeeded"}}
    assert run("cancel", "s1").stdout == "s1 cancelled\n"
    done = run("cancel", "s2")
    assert (done.exit_code, done.stderr) == (1, "headrace: 409 already_ended: run 1 has ended: succeeded\n")
    assert fake.calls == ["cancel s1", "cancel s2"]


def test_retry_names_the_run_that_it_saw(fake, run):
    fake.sources["s1"] = {"state": "failed", "run": 3}
    assert run("retry", "s1").stdout == "s1 run 4\n"
    assert fake.calls == ["GET s1", "retry s1 run=3"]


def test_reprocess_runs_again_what_has_succeeded(fake, run):
    fake.sources |= {"s1": {"state": "succeeded", "run": 3}, "s2": {"state": "failed", "run": 1}}
    assert run("reprocess", "s1", "s2").stdout == "s1 run 4\ns2 run 2\n"
    assert fake.calls == ["GET s1", "reprocess s1 run=3", "GET s2", "reprocess s2 run=1"]


def dead_letters(fake):
    for name in ("s1", "s2"):
        fake.sources[name] = {"source-uuid": name, "state": "failed", "code": "crash", "filename": "a.pdf", "size": 1, "run": 1}


def test_dead_letters_are_listed_with_what_they_ended_in(fake, run):
    dead_letters(fake)
    lines = run("dead", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["s1", "failed", "(crash)"], ["s2", "failed", "(crash)"]]
    assert fake.calls == ["dead=true", "dead=true&cursor=second"]


def test_dead_letters_are_run_again_or_dropped_by_name_or_all(fake, run):
    dead_letters(fake)
    assert run("dead", "retry", "s2").stdout == "s2 run 2\n"
    assert run("dead", "retry", "--all").stdout == "s1 run 2\ns2 run 2\n"
    assert run("dead", "drop", "s1").stdout == "s1 deleted\n"
    assert run("dead", "drop", "--all").stdout == "s1 deleted\ns2 deleted\n"


@pytest.mark.parametrize("arguments", [(), ("s1", "--all")])
@pytest.mark.parametrize("command", ["retry", "drop"])
def test_which_dead_letters_are_meant_has_to_be_said(fake, run, command, arguments):
    dead_letters(fake)
    done = run("dead", command, *arguments)
    assert (done.exit_code, done.stderr, fake.calls) == (1, "headrace: name some, or say --all\n", [])


def test_the_stack_that_runs_here_gives_url_and_key(fake, run, folder):
    stack.write(folder, stack.Stack(fake.url, "hr_dev_x", pid=1))
    fake.sources["s1"] = {}
    assert run("delete", "s1").exit_code == 0


def test_without_a_stack_the_way_out_is_said(run, folder):
    done = run("list")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "make up" in done.stderr


def test_the_key_of_the_stack_is_for_nobody_else(run, folder):
    stack.write(folder, stack.Stack("http://127.0.0.1:1", "hr_dev_x", pid=1))
    done = run("list", "--url", "http://127.0.0.1:2")
    assert "no key for http://127.0.0.1:2" in done.stderr


def test_a_created_key_is_known_by_its_line(run, folder):
    (folder / "secrets").mkdir()
    (folder / "secrets" / "secret_keys").write_text("p" * 43 + "\n")
    key, line = run("keys", "create", "acme").stdout.splitlines()
    assert key.startswith("hr_")
    assert len(key) == len("hr_") + 43
    assert ApiKeys(lines=line, peppers=["p" * 43]).find(key).organisation == "acme"


def test_a_key_is_hashed_with_the_current_secret(run, folder, monkeypatch):
    monkeypatch.setenv("HEADRACE_SECRET_KEYS", "n" * 32 + "," + "o" * 32)
    key, line = run("keys", "create", "acme").stdout.splitlines()
    assert ApiKeys(lines=line, peppers=["n" * 32]).find(key).organisation == "acme"
    assert run("keys", "create", "a:b").exit_code == 1


def test_a_key_without_a_secret_to_hash_it_with_is_refused(run, folder):
    assert "HEADRACE_SECRET_KEYS" in run("keys", "create", "acme").stderr


def test_reprocess_goes_through_all_that_is_meant(fake, run):
    fake.pages = [
        {"sources": [{"source-uuid": "s1", "status": 200}], "next-cursor": "s1"},
        {"sources": [{"source-uuid": "s2", "status": 409, "code": "bytes_gone"}]},
    ]
    assert run("reprocess", "--all", "--state", "failed", "--type", "image/*").stdout == "s1 begun\ns2 bytes_gone\n"
    first, second = fake.bodies
    assert first.items() >= {"state": "failed", "media-types": ["image/*"]}.items()
    assert second == first | {"cursor": "s1"}
    assert "ended-before" in first


@pytest.mark.parametrize("said", [[], ["s1", "--all"], ["s1", "--state", "failed"], ["--state", "failed"]])
def test_reprocess_wants_some_or_all(fake, run, said):
    assert run("reprocess", *said).exit_code == 1
    assert fake.calls == []


TREE = """
import os, sys, time
if len(sys.argv) > 1 and os.fork() == 0:
    time.sleep({"later": 1}.get(sys.argv[1], 0))
    if sys.argv[1] != "idle":
        while True: pass
time.sleep(600)
"""


@pytest.fixture
def worker():
    """Starts a process that leads a group and has one forked child."""
    started = []

    def start(*arguments):
        process = subprocess.Popen([sys.executable, "-S", "-c", TREE, *arguments], start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def recorded(folder, kind="worker", **pids):
    found = {name: stack.Process(kind, pid, processes.look(pid).started) for name, pid in pids.items()}
    stack.write(folder, stack.Stack("http://127.0.0.1:1", "k", pid=1, processes=found))


def test_kill_worker_takes_the_parent_and_its_child(run, folder, worker, eventually):
    process = worker("idle")
    (child,) = eventually(lambda: processes.descendants(process.pid))
    recorded(folder, worker1=process.pid)
    assert run("dev", "kill", "worker").stdout == f"killed worker1 (process {process.pid} and its 1 below)\n"
    assert process.wait(5) == -signal.SIGKILL
    eventually(lambda: processes.look(child.pid) is None)


def test_kill_child_leaves_the_parent(run, folder, worker, eventually):
    process = worker("idle")
    (child,) = eventually(lambda: processes.descendants(process.pid))
    recorded(folder, worker1=process.pid)
    assert run("dev", "kill", "child").exit_code == 0
    eventually(lambda: processes.look(child.pid) is None)
    assert process.poll() is None


def test_of_two_workers_the_one_that_works_is_killed(run, folder, worker, eventually):
    idle, busy = worker("idle"), worker("busy")
    eventually(lambda: processes.descendants(busy.pid) and processes.descendants(idle.pid))
    recorded(folder, worker1=idle.pid, worker2=busy.pid)
    run("dev", "kill", "worker")
    assert busy.wait(5) == -signal.SIGKILL
    assert idle.poll() is None


def test_whoever_waits_for_one_at_work_kills_that_one(run, folder, worker, eventually):
    idle, later = worker("idle"), worker("later")
    eventually(lambda: processes.descendants(later.pid) and processes.descendants(idle.pid))
    recorded(folder, worker1=idle.pid, worker2=later.pid)
    run("dev", "kill", "worker", "--at-work")
    assert later.wait(5) == -signal.SIGKILL
    assert idle.poll() is None


def test_and_kills_nobody_when_none_is(run, folder, worker, eventually, monkeypatch):
    monkeypatch.setattr(dev, "_WAIT_SECONDS", 0.5)
    idle = worker("idle")
    eventually(lambda: processes.descendants(idle.pid))
    recorded(folder, worker1=idle.pid)
    done = run("dev", "kill", "worker", "--at-work")
    assert (done.exit_code, idle.poll()) == (1, None)
    assert "at work" in done.stderr


def test_a_process_that_only_has_the_number_is_not_killed(run, folder, worker):
    process = worker()
    stack.write(folder, stack.Stack("u", "k", 1, processes={"api1": stack.Process("api", process.pid, "another start")}))
    done = run("dev", "kill", "api")
    assert (done.exit_code, done.stderr) == (1, "headrace: no api runs at the moment\n")
    assert process.poll() is None


def test_the_launcher_says_make_up_when_nothing_is_installed(tmp_path):
    (tmp_path / "headrace").write_bytes((ROOT / "headrace").read_bytes())
    (tmp_path / "headrace").chmod(0o755)
    done = subprocess.run([tmp_path / "headrace", "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "make up" in done.stderr


def test_the_launcher_finds_our_code_from_any_folder(tmp_path):
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "headrace").write_bytes((ROOT / "headrace").read_bytes())
    (tmp_path / "repository" / "headrace").chmod(0o755)
    (tmp_path / "repository" / "app").symlink_to(ROOT / "app")
    (tmp_path / "repository" / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / "repository" / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "app").mkdir()  # not ours
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')")
    done = subprocess.run([tmp_path / "repository" / "headrace", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "upload" in done.stdout
