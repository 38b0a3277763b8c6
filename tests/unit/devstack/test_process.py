import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from app.cli import processes
from devstack.process import Child, StartFailed

READY_THEN_WAIT = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def child(tmp_path, warden):
    """Makes a Child whose terminal lines are kept in `shown`."""

    def make(command):
        shown = []
        made = Child(command, log=tmp_path / f"{command.name}.log", cwd=tmp_path, echo=lambda name, line: shown.append(line), warden=warden)
        made.shown = shown
        return made

    return make


@contextlib.asynccontextmanager
async def running(child, timeout_seconds=20):
    try:
        await child.start(timeout_seconds=timeout_seconds)
        yield child
    finally:
        await child.stop()


async def until(what):
    async with asyncio.timeout(20):
        while not (found := what()):
            await asyncio.sleep(0.01)
        return found


def test_start_returns_when_the_line_has_come_and_not_before(child, command, tmp_path):
    source = """
        import os, pathlib, time
        print('starting')
        pathlib.Path(os.environ['HERE'], 'mark').touch()
        print('WARNING worker ready: w@h')
        time.sleep(600)
    """

    async def go():
        async with running(child(command(source, ready_line="worker ready: "))) as it:
            assert (tmp_path / "mark").exists()
            assert processes.look(it.pid)

    asyncio.run(go())


def test_start_returns_when_the_probe_says_yes(child, command):
    asked = []

    async def probe():
        asked.append(1)
        return len(asked) == 3

    async def go():
        async with running(child(command("import time; time.sleep(600)", ready_line=None, probe=probe))):
            assert len(asked) == 3

    asyncio.run(go())


def test_one_that_ends_before_it_is_ready_is_said_with_its_last_words(child, command):
    async def go():
        async with running(child(command("print('cannot: the port is taken'); raise SystemExit(3)"))):
            pass

    with pytest.raises(StartFailed, match=r"(?s)part: ended with status 3\n.*cannot: the port is taken"):
        asyncio.run(go())


def test_one_that_never_gets_ready_is_said_and_ended(child, command, tmp_path, read_pid):
    source = "import os, time, pathlib; pathlib.Path(os.environ['HERE'], 'pid').write_text(str(os.getpid())); time.sleep(600)"

    async def go():
        async with running(child(command(source)), timeout_seconds=1):
            pass

    with pytest.raises(StartFailed, match="not ready after 1 s"):
        asyncio.run(go())
    assert processes.look(read_pid(tmp_path / "pid")) is None


def test_a_program_that_is_not_there_is_said(child, command, tmp_path):
    from dataclasses import replace

    async def go():
        async with running(child(replace(command(""), argv=(str(tmp_path / "absent"),)))):
            pass

    with pytest.raises(StartFailed, match="part: did not start: .*absent"):
        asyncio.run(go())


def test_one_that_is_killed_starts_again(child, command):
    async def go():
        async with running(child(command(READY_THEN_WAIT, pause_seconds=0.01))) as it:
            first = it.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda: it.pid not in {first, None} and "is back (restart 1)" in it.shown)
            assert it.shown[0] == "was ended by SIGKILL; starts again in 0.01 s"

    asyncio.run(go())


def test_pauses_between_restarts_grow(child, command):
    async def go():
        async with running(child(command("print('ready')", pause_seconds=0.01))) as it:
            await until(lambda: it.restarts >= 3)
            said = [line for line in it.shown if "starts again" in line]
            assert [line.rpartition(" in ")[2] for line in said[:3]] == ["0.01 s", "0.02 s", "0.04 s"]

    asyncio.run(go())


def test_stop_lets_a_child_finish_and_does_not_start_it_again(child, command, tmp_path):
    source = """
        import os, pathlib, signal, sys, time
        def finish(*_):
            pathlib.Path(os.environ['HERE'], 'finished').touch()
            sys.exit()
        signal.signal(signal.SIGTERM, finish)
        print('ready', flush=True)
        time.sleep(600)
    """

    async def go():
        async with running(child(command(source))) as it:
            pass
        assert it.restarts == 0
        assert it.pid is None

    asyncio.run(go())
    assert (tmp_path / "finished").exists()


STUBBORN = """
    import os, pathlib, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, '-S', '-c', code])
    pathlib.Path(os.environ['HERE'], 'pid').write_text(str(grandchild.pid))
    print('ready', flush=True)
    time.sleep(600)
"""


def test_stop_ends_a_stubborn_child_and_its_grandchild(child, command, tmp_path, read_pid, eventually):
    async def go():
        async with running(child(command(STUBBORN, stop_seconds=0.2))) as it:
            pid = it.pid
        return pid

    pid = asyncio.run(go())
    assert processes.look(pid) is None
    eventually(lambda: processes.look(read_pid(tmp_path / "pid")) is None)


def test_the_grandchild_of_one_that_died_does_not_outlive_it(child, command, tmp_path, read_pid):
    # It holds the pipe open too: that must not make the dead child look alive.
    async def go():
        async with running(child(command(STUBBORN, pause_seconds=60, stop_seconds=0.2))) as it:
            grandchild = read_pid(tmp_path / "pid")
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: it.shown)
            await until(lambda: processes.look(grandchild) is None)

    asyncio.run(go())


def test_stop_during_the_start_leaves_nothing(child, command):
    async def go():
        it = child(command("import time; time.sleep(600)", stop_seconds=0.2))
        starting = asyncio.create_task(it.start(timeout_seconds=20))
        pid = await until(lambda: it.pid)
        await it.stop()
        await starting
        return pid

    assert processes.look(asyncio.run(go())) is None


@pytest.mark.parametrize("ticks", range(6))
def test_stop_at_any_moment_of_the_start_ends_soon(child, command, ticks):
    async def go():
        it = child(command("import time; time.sleep(600)", stop_seconds=0.2))
        starting = asyncio.create_task(it.start(timeout_seconds=60))
        for _ in range(ticks):
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await it.stop()
        await starting
        assert it.pid is None

    asyncio.run(go())


@pytest.mark.parametrize("source", [READY_THEN_WAIT, STUBBORN], ids=["alone", "with a grandchild"])
def test_nothing_outlives_a_supervisor_that_is_killed(command, source, tmp_path, eventually):
    supervised = f"""
        import asyncio, os, pathlib, sys
        from devstack.process import Child, Command
        from devstack.warden import Warden
        here = pathlib.Path({str(tmp_path)!r})
        async def go():
            command = Command("part", "worker", (sys.executable, "-S", "-c", {textwrap.dedent(source)!r}), {{**os.environ, "HERE": str(here)}}, ready_line="ready")
            child = Child(command, log=here / "log", cwd=here, echo=print, warden=Warden())
            await child.start(timeout_seconds=20)
            print("started", flush=True)
            await asyncio.sleep(600)
        asyncio.run(go())
    """
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(supervised)], cwd=root, stdout=subprocess.PIPE) as supervisor:
        try:
            assert supervisor.stdout.readline() == b"started\n"
            family = processes.descendants(supervisor.pid)
            assert len(family) == (3 if source is STUBBORN else 2), "what it started, and the warden"
        finally:
            supervisor.kill()
    eventually(lambda: not any((now := processes.look(each.pid)) and now.started == each.started for each in family))


def test_a_child_steps_back_when_it_is_told_to(child, command):
    source = "import os, time; print('nice', os.nice(0)); time.sleep(600)"

    async def go():
        async with running(child(command(source, nice=7, ready_line=f"nice {os.nice(0) + 7}"))) as it:
            assert processes.look(it.pid)

    asyncio.run(go())
