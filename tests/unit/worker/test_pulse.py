import time
from types import SimpleNamespace

import pytest
from celery.worker import state

from app.adapters import pulse
from worker.pulse import Judge, Look, PulseThread, Watch

STUCK, LIMIT = 60, 360


@pytest.fixture
def judge():
    return Judge(stuck_seconds=STUCK, limit_seconds=LIMIT)


def test_an_idle_worker_with_empty_queues_is_well_for_ever(judge):
    assert [judge.trouble(Look(0, 0, 0), now) for now in (0, 1000, 100_000)] == ["", "", ""]


def test_a_worker_that_takes_nothing_though_something_waits_is_stuck_after_a_while(judge):
    assert judge.trouble(Look(0, 0, 7), 0) == ""
    assert judge.trouble(Look(3, 0, 7), 5) == ""
    assert judge.trouble(Look(3, 0, 7), STUCK) == ""
    assert "3 wait, and nothing was taken for 61 s" in judge.trouble(Look(3, 0, 7), STUCK + 1)


def test_a_long_backlog_is_no_trouble_while_it_is_worked_through(judge):
    for second in range(0, 10_000, 50):
        assert judge.trouble(Look(5000, 0, second), second) == ""


def test_a_worker_at_one_long_task_is_well_while_others_wait(judge):
    for second in range(0, LIMIT, 10):
        assert judge.trouble(Look(5000, 1, 1, oldest_seconds=second), second) == ""


def test_a_task_beyond_every_limit_is_trouble(judge):
    assert judge.trouble(Look(0, 1, 1, oldest_seconds=LIMIT), 0) == ""
    assert "runs for 361 s" in judge.trouble(Look(0, 1, 1, oldest_seconds=LIMIT + 1), 0)


def test_while_redis_is_away_and_for_a_while_after_it_a_worker_is_well(judge):
    assert judge.trouble(Look(3, 0, 0), 0) == ""
    for now in (50, 650):
        assert judge.trouble(Look(None, 0, 0), now) == ""
    assert judge.trouble(Look(3, 0, 0), 650 + STUCK) == ""
    assert judge.trouble(Look(3, 0, 0), 651 + STUCK) != ""


def test_it_is_well_again_when_it_takes_something(judge):
    judge.trouble(Look(3, 0, 0), 0)
    assert judge.trouble(Look(3, 0, 0), STUCK + 1) != ""
    assert judge.trouble(Look(2, 0, 1), STUCK + 2) == ""


class Redis:
    def llen(self, name):
        return {"a": 2, "b": 3}[name]


class Request:
    def __init__(self, name):
        self.id = name


def test_what_was_taken_and_given_to_no_child_waits_too(monkeypatch):
    running, held = Request("1"), Request("2")
    monkeypatch.setattr(state, "active_requests", {running})
    monkeypatch.setattr(state, "reserved_requests", {running, held})
    monkeypatch.setattr(state, "all_total_count", [4])
    seen = Watch(Redis(), ["a", "b"])()
    assert (seen.waiting, seen.running, seen.taken) == (6, 1, 4)


def test_a_task_s_age_is_not_told_by_a_clock_that_jumps(monkeypatch):
    ticks = SimpleNamespace(now=100.0)
    monkeypatch.setattr(state, "active_requests", {Request("1")})
    monkeypatch.setattr("worker.pulse.time.monotonic", lambda: ticks.now)
    monkeypatch.setattr("worker.pulse.time.time", lambda: 0.0)
    watch = Watch(Redis(), [])
    assert watch().oldest_seconds == 0
    ticks.now += 7
    assert watch().oldest_seconds == 7


def beating(folder, judge, look):
    return PulseThread(folder, "worker1-ab@host", judge, lambda: look[0])


def age(folder):
    (file,) = folder.glob("*.pulse")
    return time.time() - file.stat().st_mtime


def test_the_file_is_fresh_while_the_worker_is_well_and_grows_old_while_it_is_not(tmp_path, judge, monkeypatch):
    look = [Look(0, 0, 0)]
    thread = beating(tmp_path / "made" / "for it", judge, look)
    folder = tmp_path / "made" / "for it"
    ticks = SimpleNamespace(wall=time.time() - 1000, now=0.0)
    monkeypatch.setattr("worker.pulse.time", SimpleNamespace(time=lambda: ticks.wall, monotonic=lambda: ticks.now))
    thread.beat()
    assert [each.trouble for each in pulse.read(folder)] == [""]
    assert age(folder) == pytest.approx(1000, abs=30)
    look[0] = Look(5, 0, 0)
    ticks.wall, ticks.now = ticks.wall + 500, 500
    thread.beat()  # something has just come
    ticks.wall, ticks.now = ticks.wall + 500, 1000
    thread.beat()
    (seen,) = pulse.read(folder)
    assert (seen.waiting, "5 wait" in seen.trouble, seen.at) == (5, True, ticks.wall)
    assert age(folder) == pytest.approx(1000, abs=30), "as old as the last good moment"


def test_a_worker_that_stops_leaves_no_pulse(tmp_path, judge):
    thread = beating(tmp_path, judge, [Look(0, 0, 0)])
    thread.start()
    while not pulse.read(tmp_path):
        time.sleep(0.01)
    thread.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_pulse_that_cannot_be_written_stops_nobody(tmp_path, judge, caplog):
    (tmp_path / "file").write_text("")
    beating(tmp_path / "file", judge, [Look(0, 0, 0)]).beat()
    assert "no pulse" in caplog.text


def test_whose_pulse_is_not_written_any_more_is_in_trouble_whatever_it_said_last(tmp_path):
    last = pulse.Pulse("w", "1", at=1000)
    assert pulse.trouble(last, 1060) == ""
    assert pulse.trouble(last, 1061) == "nothing was heard of it for 61 s"


def test_files_that_are_no_pulse_are_passed_over(tmp_path):
    (tmp_path / "x.pulse").write_text("{")
    (tmp_path / "y.pulse").write_text('{"strange": 1}')
    pulse.write(tmp_path, pulse.Pulse("z/..", "1", at=1), well_at=1)
    assert [each.name for each in pulse.read(tmp_path)] == ["z/.."]
