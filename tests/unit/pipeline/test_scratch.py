import os
import pathlib
import signal
import subprocess
import sys

from worker.pipeline import scratch


def test_a_folder_goes_with_its_block(tmp_path):
    with scratch.folder(tmp_path) as made:
        (made / "original").write_bytes(b"words")
        assert made.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_nothing_else_does(tmp_path):
    works = "import sys, pathlib, time; from worker.pipeline import scratch\nwith scratch.folder(pathlib.Path(sys.argv[1])) as made: print(made, flush=True); time.sleep(60)"
    (tmp_path / "headrace-of-somebody-else").mkdir()
    with (
        subprocess.Popen([sys.executable, "-c", works, str(tmp_path)], stdout=subprocess.PIPE, text=True) as dead,
        subprocess.Popen([sys.executable, "-c", works, str(tmp_path)], stdout=subprocess.PIPE, text=True) as alive,
        scratch.folder(tmp_path) as ours,
    ):
        left, theirs = dead.stdout.readline().strip(), alive.stdout.readline().strip()
        assert scratch.sweep(tmp_path) == 0
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait()
        assert pathlib.Path(left).exists()
        assert scratch.sweep(tmp_path) == 1
        assert sorted(map(str, tmp_path.iterdir())) == sorted([str(ours), theirs, str(tmp_path / "headrace-of-somebody-else")])
        alive.kill()
    assert scratch.sweep(tmp_path) == 1
