from __future__ import annotations

from collections import Counter

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import SourceId
from app.domain.jobs import Lane
from app.domain.source import State
from app.protocol import erase
from tests.unit.doubles import ADA, CHANNEL, EVE, a_record, a_success
from tests.unit.reconcile.conftest import Fleet
from worker.reconcile import scan
from worker.reconcile.reconciler import Reconciler


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def reconciler(fleet: Fleet, ticks: Ticks, name: str = "me", **more) -> Reconciler:
    return Reconciler(fleet.parts(**more.pop("parts", {})), name=name, scan_seconds=60, clock=ticks, **more)


def turns(of: Reconciler, ticks: Ticks, count: int, *, seconds: float = 1) -> Counter[str]:
    done: Counter[str] = Counter()
    for _ in range(count):
        done += of.turn()
        ticks.now += seconds
    return +done


def test_one_leads_and_another_does_nothing(fleet: Fleet, ticks: Ticks) -> None:
    fleet.accepted("s")
    assert reconciler(fleet, ticks).turn() == Counter(opened=1, requeued=0, woken=0)
    assert reconciler(fleet, ticks, "other").turn() is None


def test_what_the_ledger_does_not_know_is_opened_and_what_ended_is_said_once(fleet: Fleet, ticks: Ticks) -> None:
    fleet.accepted("waits")
    record = fleet.accepted("done")
    fleet.ended("done", result=a_success(record))
    fleet.accepted("gone")
    erase.bury(fleet.store, ADA, SourceId("gone"))
    fleet.ended("silent")
    assert turns(reconciler(fleet, ticks), ticks, 3) == Counter(opened=1, announced=1, buried=1)
    assert [due.source for due in fleet.memory.enqueued] == ["waits"]
    told = b"".join(fleet.memory.channels[ADA, CHANNEL].stream)
    assert told.count(b'"source-uuid":"done"') == told.count(b'"source-uuid":"gone"') == 1
    assert b"silent" not in told
    assert fleet.store.names("inbox/") == [f"{ADA}~waits"]


def test_what_is_committed_and_still_open_is_left_to_whoever_has_it_who_may_have_more_to_tell(fleet: Fleet, ticks: Ticks) -> None:
    record = fleet.accepted("done", known=True)
    fleet.ended("done", result=a_success(record))
    me = reconciler(fleet, ticks)
    assert "announced" not in turns(me, ticks, 3)
    fleet.memory.wipe()
    assert turns(me, ticks, 3)["announced"] == 1


def test_a_scan_of_what_is_known_reads_no_records(fleet: Fleet, ticks: Ticks, monkeypatch) -> None:
    for n in range(20):
        fleet.accepted(f"s-{n}", known=True)
    read = []
    monkeypatch.setattr(scan.inbox, "read", lambda *asked: read.append(asked[2]))
    me = reconciler(fleet, ticks)
    turns(me, ticks, 3)
    assert len(read) == 20, "the first scan of a leader is thorough"
    turns(me, ticks, 9, seconds=61)
    assert len(read) == 20
    turns(me, ticks, 40, seconds=31)
    assert len(read) > 20, "and so is one of some"


def test_a_deletion_that_was_cut_short_is_found_though_redis_knows_the_run_to_be_open(fleet: Fleet, ticks: Ticks) -> None:
    me = reconciler(fleet, ticks)
    turns(me, ticks, 3)
    fleet.accepted("gone", known=True)
    erase.bury(fleet.store, ADA, SourceId("gone"))
    assert turns(me, ticks, 40, seconds=31)["buried"] == 1
    assert fleet.store.names("inbox/") == []


def test_after_a_wipe_a_large_inbox_is_opened_page_by_page_and_the_queue_stays_short(fleet: Fleet, ticks: Ticks) -> None:
    many = 2 * scan.PAGE + 10
    for n in range(many):
        fleet.accepted(f"s-{n:05}")
    me = reconciler(fleet, ticks)
    assert me.turn()["opened"] == scan.PAGE, "one turn, one page"
    assert len(fleet.memory.enqueued) == 4, "the owner has four turns"
    fleet.accepted("small", owner=EVE, known=True)
    assert [due.owner for due in fleet.memory.enqueued].index(EVE) == 4, "behind what was handed out, and not behind what waits"
    assert turns(me, ticks, 4)["opened"] == many - scan.PAGE
    assert len(fleet.memory.enqueued) == 5
    assert not me.is_scanning


def test_a_wipe_is_noticed_at_once_and_waits_for_the_heartbeats(fleet: Fleet, ticks: Ticks) -> None:
    me = reconciler(fleet, ticks, patience_seconds=10)
    fleet.memory.whole = True
    fleet.accepted("s", known=True)
    assert turns(me, ticks, 3) == Counter()
    record = fleet.accepted("at-work", known=True)
    fleet.ledger.claim(ADA, record, fence="f", worker="w")
    fleet.memory.wipe()
    assert turns(me, ticks, 10) == Counter(), "patience"
    assert fleet.ledger.beat(ADA, record, fence="f", worker="w", attempt=1)
    assert turns(me, ticks, 3) == Counter(opened=1)
    assert fleet.ledger.record(ADA, "at-work").state is State.PROCESSING
    assert fleet.ledger.is_whole()


def test_a_scan_over_which_redis_was_wiped_does_not_count(fleet: Fleet, ticks: Ticks) -> None:
    for n in range(scan.PAGE + 1):
        fleet.accepted(f"s-{n:05}")
    me = reconciler(fleet, ticks)
    me.turn()
    fleet.memory.wipe()
    assert turns(me, ticks, 2)["opened"] == 1
    assert not fleet.ledger.is_whole()
    assert turns(me, ticks, 4)["opened"] == scan.PAGE
    assert fleet.ledger.is_whole()


def test_an_outage_in_a_scan_loses_no_page(fleet: Fleet, ticks: Ticks) -> None:
    for n in range(3):
        fleet.accepted(f"s-{n}")
    me = reconciler(fleet, ticks)
    accept, fleet.ledger.accept = fleet.ledger.accept, lambda *_, **__: (_ for _ in ()).throw(Unavailable("redis_unavailable"))
    with pytest.raises(Unavailable):
        me.turn()
    fleet.ledger.accept = accept
    assert turns(me, ticks, 2)["opened"] == 3


def test_what_cannot_be_read_is_left_alone_and_stops_nobody(fleet: Fleet, ticks: Ticks) -> None:
    fleet.put(f"inbox/{ADA}~newer", body=b'{"schema":99}')
    fleet.put("inbox/strange")
    fleet.accepted("s")
    assert turns(reconciler(fleet, ticks), ticks, 3) == Counter(opened=1)
    assert {f"inbox/{ADA}~newer", "inbox/strange"} <= fleet.everything()


def test_the_bare_name_goes_back_to_the_owner_of_what_waits(fleet: Fleet, ticks: Ticks) -> None:
    """A stranger may register the name between the wipe and the scan."""
    record = fleet.accepted("s")
    fleet.memory.wipe()
    fleet.memory.aliases[CHANNEL] = EVE
    fleet.memory.channel(EVE, CHANNEL)
    turns(reconciler(fleet, ticks), ticks, 2)
    assert fleet.memory.aliases[CHANNEL] == ADA
    assert record.accepted_at < fleet.memory.channels[EVE, CHANNEL].began


def test_a_turn_that_was_lost_is_given_to_who_waits(fleet: Fleet, ticks: Ticks) -> None:
    me = reconciler(fleet, ticks)
    turns(me, ticks, 2)
    for n in range(6):
        fleet.accepted(f"s-{n}", known=True)
    del fleet.memory.runs[ADA, "s-0"]
    assert turns(me, ticks, 1)["woken"] == 1
    assert fleet.ledger.queueing() == [(ADA, Lane.FAST)]
    assert [due.source for due in fleet.memory.enqueued] == ["s-0", "s-1", "s-2", "s-3", "s-4"]


def test_a_record_of_a_later_run_is_opened_though_the_first_has_ended(fleet: Fleet, ticks: Ticks) -> None:
    first = a_record("s")
    fleet.ledger.accept(ADA, first)
    result = fleet.ended("s", result=a_success(first, state=State.FAILED, code="timeout"))
    fleet.ledger.finish(ADA, first, fleet.parts().announcer.ended(ADA, result), state=State.FAILED)
    fleet.accepted("s", run=2)
    assert turns(reconciler(fleet, ticks), ticks, 2)["opened"] == 1
    assert fleet.ledger.record(ADA, "s").run == 2
