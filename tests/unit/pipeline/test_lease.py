"""The heartbeat: keeps the lease, and tells its holder when the run is another's or over."""

from __future__ import annotations

import threading
import time

import pytest

from app.adapters.memory_ledger import MemoryLedger, MemoryState
from app.domain.errors import Unavailable
from app.domain.source import State
from tests.ledgers import OWNER, failure, record
from tests.servers import eventually
from worker.pipeline import lease
from worker.pipeline.lease import Heartbeat, LeaseLost

RUN = record()


class Counting(MemoryLedger):
    beats = 0
    away = False

    def beat(self, *args, **kwargs):
        self.beats += 1
        if self.away:
            raise Unavailable("redis_unavailable")
        return super().beat(*args, **kwargs)


@pytest.fixture
def ledger():
    ledger = Counting(MemoryState())
    ledger.accept(OWNER, RUN)
    ledger.claim(OWNER, RUN, fence="f", worker="w")
    return ledger


def beating(ledger, lease_seconds=0.04):
    return Heartbeat(ledger, OWNER, RUN, fence="f", worker="w", attempt=1, lease_seconds=lease_seconds)


def test_it_beats_until_the_work_is_over(ledger):
    with beating(ledger) as heartbeat:
        eventually(lambda: ledger.beats > 3)
        heartbeat.check()
        heartbeat.pause(0.001)
    beats = ledger.beats
    time.sleep(0.05)
    assert ledger.beats == beats


@pytest.mark.parametrize("how", ["check", "pause"])
def test_a_run_that_was_cancelled_is_left(ledger, how):
    with beating(ledger) as heartbeat:
        ledger.finish(OWNER, RUN, failure(RUN), state=State.CANCELLED)
        with pytest.raises(LeaseLost):
            if how == "pause":
                heartbeat.pause(60)
            while True:
                heartbeat.check()


def test_however_long_the_lease_a_cancellation_is_heard_within_a_second_or_so(ledger):
    assert beating(ledger, 3600).every == 1


def test_an_outage_is_known_until_a_beat_gets_through(ledger):
    with beating(ledger) as heartbeat:
        ledger.away = True
        eventually(lambda: heartbeat.is_away)
        heartbeat.check()
        ledger.away = False
        eventually(lambda: not heartbeat.is_away)
        heartbeat.check()


def test_all_runs_of_a_process_beat_by_one_thread_whatever_becomes_of_one(ledger, caplog):
    class Broken(Counting):
        def beat(self, *args, **kwargs):
            self.beats += 1
            raise ZeroDivisionError

    broken = Broken(MemoryState())
    with beating(ledger), beating(broken), beating(ledger, 3600):
        eventually(lambda: ledger.beats > 3 and broken.beats > 3)
        assert [thread.name for thread in threading.enumerate()].count("heart") == 1
    assert "ZeroDivisionError" in caplog.text


def test_whoever_leaves_waits_for_the_beat_that_is_under_way(ledger):
    """It would write of a run that is over."""
    begun, proceed, left = threading.Event(), threading.Event(), threading.Event()

    class Slow(Counting):
        def beat(self, *args, **kwargs):
            begun.set()
            assert proceed.wait(20)
            return super().beat(*args, **kwargs)

    slow = Slow(MemoryState())

    def hold():
        with beating(slow):
            assert begun.wait(20)
        left.set()

    holding = threading.Thread(target=hold)
    holding.start()
    assert begun.wait(20)
    assert not left.wait(0.1)
    proceed.set()
    holding.join()
    assert slow.beats == 1


def test_a_short_lease_beats_though_the_heart_sleeps_for_a_long_one(ledger, monkeypatch):
    monkeypatch.setattr(lease, "_BEAT_SECONDS", 3600)  # so that nothing else wakes it
    with beating(ledger, 4 * 3600) as long:
        eventually(lambda: lease._HEART._wakes == lease._HEART._due[long])
        with beating(ledger):
            eventually(lambda: ledger.beats > 1)
