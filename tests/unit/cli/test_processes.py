import os
import subprocess
import sys

import pytest

from app.cli import processes, stack

PS = """\
    1     0 Ss       00:00.12 Sun Nov 22 20:57:11 2026     /sbin/launchd
  501     1 S     1-02:03:04.50 Mon Nov 23 08:00:00 2026     python -m celery worker
  502   501 Z        0:00.00 Mon Nov 23 08:00:01 2026
  503   501 S        1:01.00 Mon Nov 23 08:00:02 2026     python -m celery worker
"""


def test_our_own_process_is_seen_as_it_is():
    seen = processes.look(os.getpid())
    assert seen.parent == os.getppid()
    assert seen.command.endswith(" ".join(sys.orig_argv[1:]))
    assert seen.cpu_seconds > 0
    assert seen == processes.look(os.getpid()) or seen.cpu_seconds < processes.look(os.getpid()).cpu_seconds
    assert seen.started == processes.look(os.getpid()).started


def test_one_that_has_ended_is_none_even_before_its_parent_knows():
    with subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE) as ended:
        ended.stdout.read()  # not yet waited for: a zombie, or soon one
        while processes.look(ended.pid):
            pass
        ended.wait()


def test_ps_is_read_where_there_is_no_proc(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, PS, ""))
    worker = processes.look(501)
    assert worker == processes.Snapshot(501, 1, "Mon Nov 23 08:00:00 2026", 93784.5, "python -m celery worker")
    assert processes.look(502) is None
    assert [each.pid for each in processes.descendants(1)] == [501, 503]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base_url": 1, "processes": []}', "not json"])
def test_a_stack_file_that_is_not_ours_is_no_stack(tmp_path, text):
    (tmp_path / stack.FILE).write_text(text)
    assert stack.read(tmp_path) is None


def test_a_stack_is_read_as_it_was_written(tmp_path):
    written = stack.Stack("u", "k", 7, ready=True, flower_url="f", processes={"api1": stack.Process("api", 8, "s")})
    stack.write(tmp_path, written)
    assert stack.read(tmp_path) == written
    assert [file.name for file in tmp_path.iterdir()] == [stack.FILE]
