"""The clock of a worker's host jumps. Leases, graces and the reconciler's lead are counted by Redis' clock, so nothing moves."""

import time
from datetime import UTC, datetime

import pytest

from app.adapters.redis import calls
from app.adapters.redis.calls import Terms
from app.domain.ids import new_fence
from app.ports import Due
from tests.ledgers import OWNER, SOURCE, milestone, record, take
from worker.pipeline.lease import Heartbeat

RUN = record()
DAY = 86400.0


@pytest.fixture(params=[DAY, -DAY], ids=["ahead", "back"])
def jump(request, monkeypatch):
    """Call it, and every clock of this process that tells the time of day is a day off."""
    now = time.time

    class Jumped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(time.time(), tz or UTC)

    def jumps():
        monkeypatch.setattr(time, "time", lambda: now() + request.param)
        monkeypatch.setattr(calls, "datetime", Jumped)
        assert abs(time.time() - now()) == pytest.approx(DAY, abs=5)

    return jumps


def test_a_lease_holds_and_nothing_is_due_because_a_clock_jumped(open_ledger, jump):
    ledger = open_ledger("redis", Terms(lease_seconds=60, grace_seconds=60))
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="one")
    jump()
    assert ledger.beat(OWNER, RUN, fence=fence, worker="one", attempt=1)
    assert ledger.claim(OWNER, RUN, fence=new_fence(), worker="two").kind == "busy"
    assert ledger.due(limit=9) == []
    assert ledger.requeue(Due(OWNER, SOURCE, 1)) is False
    assert ledger.append(OWNER, RUN, milestone(RUN), fence=fence, attempt=1, seq=1, stage=None)
    assert ledger.release(OWNER, RUN, fence=fence)
    assert ledger.due(limit=9) == [], "its grace is not over either"


def test_what_is_taken_after_the_jump_ends_by_the_same_clock(open_ledger, jump):
    ledger = open_ledger("redis", Terms(lease_seconds=0.05, grace_seconds=60))
    ledger.accept(OWNER, RUN)
    jump()
    take(ledger, worker="one")
    deadline = time.monotonic() + 20
    while ledger.due(limit=9) != [Due(OWNER, SOURCE, 1)]:
        assert time.monotonic() < deadline, "the lease never ended"
    assert ledger.claim(OWNER, RUN, fence=new_fence(), worker="two").attempt == 2


def test_one_leads_whatever_its_clock_says(open_ledger, jump):
    ledger = open_ledger("redis")
    assert ledger.lead("one", seconds=60)
    jump()
    assert ledger.lead("two", seconds=60) is False
    assert ledger.lead("one", seconds=60)


def test_a_heartbeat_goes_on_over_a_jump(open_ledger, jump):
    ledger = open_ledger("redis", Terms(lease_seconds=2))
    ledger.accept(OWNER, RUN)
    fence, _ = take(ledger, worker="one")
    with Heartbeat(ledger, OWNER, RUN, fence=fence, worker="one", attempt=1, lease_seconds=2) as heartbeat:
        jump()
        until = time.monotonic() + 3  # longer than the lease
        while time.monotonic() < until:
            heartbeat.check()
            assert ledger.claim(OWNER, RUN, fence=new_fence(), worker="two").kind == "busy"
